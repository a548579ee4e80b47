"""How PostgreSQL servers are doing: a real one, a standby of it, and all the ways in which one does not answer."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from exporter.exposition import Format, render
from exporter.postgres.about import families_of_servers
from exporter.postgres.server import Server
from exporter.postgres.settings import Postgres
from exporter.redaction import Redaction
from guard.redaction.sql import template
from tests.exporter.program import started
from tests.real.postgresql import Cluster, cluster
from tests.real.servers import until

pytestmark = pytest.mark.real
SURELY = 10.0


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Of our own, as nobody else may look into pytest's."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def primary(folder: Path) -> Iterator[Cluster]:
    with cluster(folder / "primary") as found:
        yield found


def said(there: Cluster, **more: object) -> Postgres:
    return replace(Postgres(name="main", port=there.port, user="postgres", tls="disable"), **more)


def asked(settings: Postgres) -> Server:
    """Once, and left."""
    server = Server(settings, clean=Redaction(seen=lambda _: None).redact("", "postgres"))

    async def ask() -> None:
        await server.ask()
        server.hang_up()

    asyncio.run(asyncio.wait_for(ask(), SURELY))
    return server


class Page:
    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self._values = {
            (each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples
        }

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self._values}

    def value(self, name: str, **labels: str) -> float:
        return self._values[name, frozenset(labels.items())]


def page_of(*servers: Server) -> Page:
    return Page(render(list(families_of_servers(servers)), Format.TEXT).decode())


def test_connections_are_counted_by_state_and_the_longest_transaction_is_told(primary: Cluster) -> None:
    with primary.session("BEGIN", "SELECT 1"), primary.session("SELECT pg_sleep(60)"):
        until(
            lambda: primary.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'") == "1",
            what="an idle transaction",
        )
        until(
            lambda: primary.sql("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60);'") == "1",
            what="somebody who sleeps",
        )
        page = page_of(asked(said(primary)))
    of = {"server": "main", "datname": "postgres"}
    assert page.value("pg_up", server="main") == 1
    assert page.value("pg_stat_activity_count", **of, state="idle in transaction") == 1
    assert page.value("pg_stat_activity_count", **of, state="active") == 1
    assert page.value("pg_stat_activity_count", **of, state="disabled") == 0
    assert 0 < page.value("pg_stat_activity_max_tx_duration", **of, state="idle in transaction") < SURELY
    assert page.value("pg_settings_max_connections", server="main") == 30


def test_counts_of_a_database_are_the_servers_own(primary: Cluster) -> None:
    primary.sql("CREATE TABLE IF NOT EXISTS counted (id int); INSERT INTO counted SELECT generate_series(1, 1000)")
    primary.sql("SELECT pg_stat_force_next_flush()")
    page = page_of(asked(said(primary)))
    inserted = float(primary.sql("SELECT tup_inserted FROM pg_stat_database WHERE datname = 'postgres'"))
    size = float(primary.sql("SELECT pg_database_size('postgres')"))
    of = {"server": "main", "datname": "postgres"}
    assert 1000 <= page.value("pg_stat_database_tup_inserted", **of) <= inserted
    assert page.value("pg_database_size_bytes", **of) == pytest.approx(size, rel=0.1)


def test_when_a_table_was_vacuumed_is_told_apart_from_when_the_server_did_it_by_itself(primary: Cluster) -> None:
    primary.sql("CREATE TABLE swept (id int) WITH (autovacuum_enabled = false)")
    primary.sql("INSERT INTO swept SELECT generate_series(1, 1000)")
    primary.sql("VACUUM ANALYZE swept")
    when = float(primary.sql("SELECT extract(epoch FROM last_vacuum) FROM pg_stat_user_tables WHERE relname = 'swept'"))
    page = page_of(asked(said(primary, tables=100)))
    of = {"server": "main", "datname": "postgres", "schemaname": "public", "relname": "swept"}
    assert page.value("pg_stat_user_tables_vacuum_count", **of) == 1
    assert page.value("pg_stat_user_tables_autovacuum_count", **of) == 0
    assert page.value("pg_stat_user_tables_last_vacuum", **of) == pytest.approx(when)
    assert page.value("pg_stat_user_tables_last_analyze", **of) >= when
    assert page.value("pg_stat_user_tables_last_autovacuum", **of) == 0


def test_waste_is_estimated_within_a_tenth_of_what_a_new_copy_saves(primary: Cluster) -> None:
    primary.sql("CREATE TABLE wasteful (id int, name text, at timestamptz)")
    primary.sql("INSERT INTO wasteful SELECT i, 'name number ' || i, now() FROM generate_series(1, 50000) i")
    for _ in range(3):
        primary.sql("UPDATE wasteful SET at = now()")
    primary.sql("VACUUM ANALYZE wasteful")
    before = int(primary.sql("SELECT pg_relation_size('wasteful')"))
    server = asked(said(primary))
    told = page_of(server).value(
        "pg_table_bloat_bytes", server="main", datname="postgres", schemaname="public", relname="wasteful"
    )
    primary.sql("VACUUM FULL wasteful")
    primary.sql("VACUUM ANALYZE wasteful")
    saved = before - int(primary.sql("SELECT pg_relation_size('wasteful')"))
    assert saved > 5_000_000
    assert told == pytest.approx(saved, rel=0.1)
    after = page_of(asked(said(primary))).value(
        "pg_table_bloat_ratio", server="main", datname="postgres", schemaname="public", relname="wasteful"
    )
    assert after < 0.1
    assert [row["relname"] for row in server.rows["bloat"]][:1] == ["wasteful"]


def test_the_slowest_statement_comes_first_and_shows_no_value(primary: Cluster) -> None:
    primary.sql("SELECT pg_stat_statements_reset()")
    primary.sql("SELECT pg_sleep(0.4), 'ana@example.org'")
    primary.sql("COMMENT ON DATABASE postgres IS 'call ana@example.org'")
    server = asked(said(primary, statements=100))
    rows = server.rows["statements"]
    assert "pg_sleep" in rows[0]["query"]
    shown = [template(row["query"], lambda _: None) for row in rows]
    assert any("COMMENT ON DATABASE" in each for each in shown)
    assert not any("ana@" in each for each in shown)
    page = page_of(server)
    slowest = {"server": "main", "datname": "postgres", "queryid": rows[0]["queryid"]}
    assert page.value("pg_stat_statements_calls_total", **slowest) == 1
    assert 0.4 <= page.value("pg_stat_statements_seconds_total", **slowest) < SURELY
    assert len(asked(said(primary, statements=2)).rows["statements"]) == 2


def test_what_the_server_does_not_have_or_does_not_tell_is_missing_and_the_rest_is_there(primary: Cluster) -> None:
    primary.sql("CREATE DATABASE plain")
    primary.sql("CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher")
    page = page_of(asked(said(primary, database="plain", user="watcher")))
    assert page.value("pg_up", server="main") == 1
    assert page.value("pg_scrape_collector_success", server="main", collector="statements") == 0
    assert page.value("pg_scrape_collector_success", server="main", collector="databases") == 1
    assert page.value("pg_database_size_bytes", server="main", datname="plain") > 0
    assert "pg_stat_statements_calls_total" not in page.names
    primary.sql("DROP DATABASE plain")


def test_names_of_tables_with_personal_data_are_shown_without_it(primary: Cluster) -> None:
    primary.sql('CREATE TABLE "ana@example.org" (id int)')
    try:
        text = render(list(families_of_servers([asked(said(primary, tables=100))])), Format.TEXT).decode()
    finally:
        primary.sql('DROP TABLE "ana@example.org"')
    assert "ana@" not in text
    assert 'relname="[EMAIL]"' in text


def test_a_standby_tells_how_far_it_is_behind_and_the_primary_of_whom(folder: Path, primary: Cluster) -> None:
    standby = Cluster(folder / "standby")
    standby.copy_of(primary)
    standby.start()
    try:
        until(
            lambda: primary.sql("SELECT state FROM pg_stat_replication") == "streaming", what="a standby that follows"
        )
        primary.sql("CREATE TABLE seen (id int)")
        until(lambda: standby.sql("SELECT pg_last_xact_replay_timestamp() IS NOT NULL") == "t", what="a first replay")
        standby.sql("SELECT pg_wal_replay_pause()")
        primary.sql("CREATE TABLE IF NOT EXISTS late (id int); INSERT INTO late SELECT generate_series(1, 10000)")
        until(
            lambda: standby.sql("SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()") == "t",
            what="something that was received and not replayed",
        )
        of_primary, of_standby = asked(said(primary)), asked(replace(said(standby), name="standby"))
        page = page_of(of_primary, of_standby)
        assert page.value("pg_replication_is_replica", server="main") == 0
        assert page.value("pg_replication_is_replica", server="standby") == 1
        assert page.value("pg_replication_lag_seconds", server="main") == 0
        assert page.value("pg_replication_lag_seconds", server="standby") > 0
        name = {"server": "main", "application_name": "walreceiver", "state": "streaming"}
        assert page.value("pg_stat_replication_pg_wal_lsn_diff", **name) > 100_000
        standby.sql("SELECT pg_wal_replay_resume()")
        until(
            lambda: (
                page_of(asked(replace(said(standby), name="standby"))).value(
                    "pg_replication_lag_seconds", server="standby"
                )
                == 0
            ),
            what="a standby that has caught up",
        )
    finally:
        standby.stop()


def test_a_server_that_hangs_costs_its_time_and_is_asked_again_when_it_is_back(folder: Path) -> None:
    with cluster(folder / "hung") as hung:
        settings = said(hung, timeout="500ms")
        server = Server(settings, clean=str)

        async def watch() -> None:
            await server.ask()
            assert server.up
            hung.send(signal.SIGSTOP)
            for child in children_of(hung):
                child_send(child, signal.SIGSTOP)
            for _ in range(3):
                began = time.monotonic()
                await server.ask()
                assert time.monotonic() - began < 2.0
                assert (server.up, server.error) == (False, "timeout")
            assert not server.answers
            for child in children_of(hung):
                child_send(child, signal.SIGCONT)
            hung.send(signal.SIGCONT)
            await server.ask()
            assert server.up
            hung.kill()
            await server.ask()
            assert not server.up
            hung.start()
            await server.ask()
            assert server.up
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            assert len(tasks) <= 1  # nothing is left of those that were given up
            server.hang_up()

        asyncio.run(asyncio.wait_for(watch(), 60))


def children_of(there: Cluster) -> Sequence[int]:
    assert there.process is not None
    pid = there.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def child_send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"user": "nobody_here"}, "InvalidAuthorizationSpecificationError 28000"),
        ({"database": "nothing_here"}, "InvalidCatalogNameError 3D000"),
        ({"port": 1}, "ConnectionRefusedError"),
        ({"host": "a..b"}, "UnicodeError"),
        ({"tls": "verify-full"}, "ConnectionError"),
        ({"password_file": "/nothing/here"}, "the secret file here cannot be read: No such file or directory"),
    ],
)
def test_why_there_is_no_answer_is_told_without_a_secret(
    primary: Cluster, more: dict[str, object], expected: str
) -> None:
    server = asked(said(primary, **more))
    assert (server.up, server.error) == (False, expected)


def test_the_program_asks_tells_and_follows_a_reload(tmp_path: Path, primary: Cluster) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text(
        dedent(f"""\
        postgres:
          - {{name: shop, port: {primary.port}, user: postgres, tls: disable, every: 5s, timeout: 4s}}
        """)
    )
    with started(f"--config.file={file}") as program:
        page = until(
            lambda: Page(program.get("/metrics/probes")) if "pg_up{" in program.get("/metrics/probes") else None,
            what="an answer",
        )
        assert page.value("pg_up", server="shop") == 1
        (shown,) = json.loads(program.get("/stats/postgres"))["servers"]
        assert shown["name"] == "shop"
        assert shown["statements"][0]["calls"] >= 1
        assert primary.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tocsin'") == "1"
        file.write_text("postgres: []\n")
        program.process.send_signal(signal.SIGHUP)
        until(lambda: "pg_up{" not in program.get("/metrics/probes"), what="a page without it")
        until(
            lambda: primary.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tocsin'") == "0",
            what="a connection that is given back",
        )
