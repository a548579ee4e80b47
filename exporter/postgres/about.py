"""What is known of all servers, as families."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exporter.family import Family, Shape
from exporter.postgres.query import families_of
from exporter.postgres.questions import QUESTIONS
from exporter.postgres.server import Server

UP = Shape("pg_up", "gauge", "1 if the server answered when it was last asked.", ("server",))
SECONDS = Shape("pg_exporter_last_scrape_duration_seconds", "gauge", "How long it took to ask it.", ("server",))
SUCCEEDED = Shape(
    "pg_exporter_last_scrape_timestamp_seconds", "gauge", "When it last answered, since 1970.", ("server",)
)
ANSWERED = Shape(
    "pg_scrape_collector_success", "gauge", "1 if this question was answered the last time.", ("server", "collector")
)
TOOK = Shape(
    "pg_scrape_collector_duration_seconds",
    "gauge",
    "How long this question took the last time.",
    ("server", "collector"),
)
SHAPES = (UP, SECONDS, SUCCEEDED, ANSWERED, TOOK)


def families_of_servers(servers: Sequence[Server]) -> Iterator[Family]:
    asked = [server for server in servers if server.up is not None]
    answers = [(server.said.name, name, answer) for server in asked for name, answer in server.answers.items()]
    yield Family(UP, tuple(((server.said.name,), float(bool(server.up))) for server in asked))
    yield Family(SECONDS, tuple(((server.said.name,), server.seconds) for server in asked))
    succeeded = ((server.said.name, server.success_at) for server in asked)
    yield Family(SUCCEEDED, tuple(((name,), at) for name, at in succeeded if at is not None))
    yield Family(ANSWERED, tuple(((server, name), float(not answer.error)) for server, name, answer in answers))
    yield Family(TOOK, tuple(((server, name), answer.seconds) for server, name, answer in answers))
    yield from families_of(QUESTIONS, [server.answers for server in asked])
