"""One server: connected, asked, and given up in time. Whatever it does, nobody else waits for it."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from exporter.postgres.query import Answer, Clean, Query, Row, samples_of
from exporter.postgres.questions import BLOAT, QUESTIONS, STATEMENTS
from exporter.postgres.settings import Postgres
from guard.secretfile import secret_in
from guard.tokens import Unreadable

if TYPE_CHECKING:
    from asyncpg import Connection

log = logging.getLogger("tocsin.exporter.postgres")

# Of databases and of standbys.
DATABASES_MAX = 100
STANDBYS_MAX = 20
# A question has this part of the time for all of them; the server ends it then, if we cannot.
STATEMENT_SHARE = 0.8
_UNKNOWN_THERE = (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError, asyncpg.UndefinedColumnError)


class Server:
    """Belongs to one event loop. `clean` removes what is personal from what becomes a label."""

    def __init__(self, said: Postgres, *, clean: Clean, clock: Callable[[], float] = time.time) -> None:
        self.said = said
        self._clean = clean
        self._clock = clock
        self._connection: Connection | None = None
        self._tops = {
            "databases": DATABASES_MAX,
            "standbys": STANDBYS_MAX,
            "tables": said.tables,
            "statements": said.statements,
            "bloat": said.bloat,
        }
        self._bloat_at = float("-inf")
        self._reported = ""
        self.answers: Mapping[str, Answer] = {}
        self.rows: dict[str, Sequence[Row]] = {}
        # None before the first time that it was asked.
        self.up: bool | None = None
        self.error = ""
        self.seconds = 0.0
        self.success_at: float | None = None

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                began = time.monotonic()
                await self.ask()
                await asyncio.sleep(max(0.0, began + self.said.every_seconds - time.monotonic()))
        finally:
            self.hang_up()

    async def ask(self) -> None:
        """All questions once; what it knows is what was answered this time."""
        began = time.monotonic()
        error = ""
        answers: dict[str, Answer] = {}
        try:
            async with asyncio.timeout(self.said.timeout_seconds):
                connection = await self._connected()
                for query in self._due(began):
                    if query.seldom:
                        self._bloat_at = began
                    answers[query.name] = await self._asked(connection, query)
        except TimeoutError:
            error = "timeout"
        except Unreadable as unreadable:
            error = str(unreadable)
        except asyncpg.PostgresError as refused:
            error = f"{type(refused).__name__} {refused.sqlstate}"
        except Exception as failed:  # noqa: BLE001 - whatever it is, it is asked again the next time
            error = type(failed).__name__
        if error:
            self.hang_up()
        self.seconds = time.monotonic() - began
        self.up, self.error = not error, error
        if error:
            self.answers, self.rows = {}, {}
            # It is asked when the server is back, but for one that may be slow because of that very question.
            if self._bloat_at != began:
                self._bloat_at = float("-inf")
        else:
            # What is asked seldom stays until it is asked again.
            self.answers = {**{name: each for name, each in self.answers.items() if name == BLOAT.name}, **answers}
            self.success_at = self._clock()
        self._report(error)

    def _due(self, now: float) -> list[Query]:
        """What is bounded to nothing is not asked."""
        wanted = [query for query in QUESTIONS if not query.top or self._tops[query.top]]
        if now < self._bloat_at + self.said.bloat_every_seconds:
            return [query for query in wanted if not query.seldom]
        return wanted

    async def _asked(self, connection: Connection, query: Query) -> Answer:
        """What the server does not know, or does not tell us, is an answer too."""
        began = time.monotonic()
        error = ""
        rows: Sequence[Row] = ()
        try:
            rows = await connection.fetch(query.sql, *([self._tops[query.top]] if query.top else []))
        except _UNKNOWN_THERE:
            error = "absent"
        except asyncpg.InsufficientPrivilegeError:
            error = "permission"
        except asyncpg.QueryCanceledError:
            error = "timeout"
        except asyncpg.ObjectNotInPrerequisiteStateError:
            # The extension is there, and the library is not loaded.
            error = "absent"
        if query.name in (STATEMENTS.name, BLOAT.name):
            self.rows[query.name] = rows
        samples = () if error else samples_of(query, self.said.name, rows, self._clean)
        return Answer(time.monotonic() - began, samples, error)

    async def _connected(self) -> Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        said = self.said
        # What is not said must not come from the environment, or from somebody's home.
        password = "" if said.password_file is None else secret_in(Path(said.password_file))
        milliseconds = max(1, int(said.timeout_seconds * 1000 * STATEMENT_SHARE))
        self._connection = await asyncpg.connect(
            host=said.host,
            port=said.port,
            user=said.user,
            password=password,
            database=said.database,
            ssl=_tls(said),
            timeout=said.timeout_seconds,
            server_settings={
                "application_name": "tocsin",
                "default_transaction_read_only": "on",
                "statement_timeout": str(milliseconds),
                "lock_timeout": str(milliseconds),
                "search_path": "pg_catalog,public",
            },
        )
        return self._connection

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _report(self, error: str) -> None:
        """Once a change."""
        if error == self._reported:
            return
        self._reported = error
        if error:
            log.warning("a PostgreSQL server does not answer", extra={"server": self.said.name, "error": error})
        else:
            log.info("a PostgreSQL server answers again", extra={"server": self.said.name})


def _tls(said: Postgres) -> Any:
    if said.tls != "verify-full" or said.host.startswith("/"):
        return "disable" if said.host.startswith("/") else said.tls
    return ssl.create_default_context(cafile=said.ca_file)
