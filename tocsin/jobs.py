"""A job as an event: how it ended, and how long it took.

with tocsin.job("backup"):
    ...

@tocsin.job("clean_up")
async def clean_up(): ...
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from tocsin.telling import event

if TYPE_CHECKING:
    from tocsin.exchange import Tell

P = ParamSpec("P")
R = TypeVar("R")
SUCCESS = "success"
FAILURE = "failure"


class Job:
    """One run, or the decorator of a function each of whose calls is one. An exception goes on as it came."""

    def __init__(self, name: str, /, *, tell: Tell = event, **fields: object) -> None:
        self._name = name
        self._fields = fields
        self._tell = tell
        self._began = 0.0
        # What the block may say itself; otherwise it failed where it was left with an exception.
        self.outcome: str | None = None

    def __enter__(self) -> Job:
        self._began = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_good = error is None or (isinstance(error, SystemExit) and error.code in (None, 0))
        outcome = self.outcome or (SUCCESS if is_good else FAILURE)
        seconds = round(perf_counter() - self._began, 6)
        self._tell("job", **{**self._fields, "job_name": self._name, "outcome": outcome, "duration_seconds": seconds})

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        from inspect import iscoroutinefunction  # large, and only for this

        def run() -> Job:
            return Job(self._name, tell=self._tell, **self._fields)

        if iscoroutinefunction(function):

            @wraps(function)
            async def later(*arguments: P.args, **named: P.kwargs) -> Any:
                with run():
                    return await function(*arguments, **named)

            return later  # type: ignore[return-value]

        @wraps(function)
        def now(*arguments: P.args, **named: P.kwargs) -> R:
            with run():
                return function(*arguments, **named)

        return now


# `with tocsin.job("backup"):` reads as what it does.
job = Job
