"""Which service needs which: what is upstream of a service, and what is downstream, nearest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

REACHED_MAX = 5_000

Edges = Mapping[str, Sequence[str]]


def upstream(depends_on: Edges, service: str) -> Iterator[tuple[str, int]]:
    """What the service needs, itself or through others, with the number of steps to it."""
    return _walk(depends_on, service)


def downstream(needed_by: Edges, service: str) -> Iterator[tuple[str, int]]:
    """What needs the service, itself or through others. `needed_by` is made once, by the function of that name."""
    return _walk(needed_by, service)


def needed_by(depends_on: Edges) -> dict[str, tuple[str, ...]]:
    """The same edges the other way: service -> what needs it itself, by name."""
    found: dict[str, list[str]] = {}
    for service in sorted(depends_on):
        for needed in dict.fromkeys(depends_on[service]):
            found.setdefault(needed, []).append(service)
    return {service: tuple(found[service]) for service in sorted(found)}


def cycle(depends_on: Edges) -> tuple[str, ...]:
    """The services of one cycle in their order, each once; nothing where there is no cycle."""
    done: set[str] = set()
    for root in sorted(depends_on):
        way: dict[str, Iterator[str]] = {} if root in done else {root: iter(depends_on[root])}
        while way:
            here, rest = next(reversed(way.items()))
            needed = next(rest, None)
            if needed is None:
                done.add(here)
                del way[here]
            elif needed in way:
                names = list(way)
                return tuple(names[names.index(needed) :])
            elif needed not in done:
                way[needed] = iter(depends_on.get(needed, ()))
    return ()


def _walk(edges: Edges, service: str) -> Iterator[tuple[str, int]]:
    """Breadth first, in the order of the lists, each service once, and the first one not at all."""
    seen = {service}
    ahead = deque([(service, 0)])
    while ahead:
        here, steps = ahead.popleft()
        for name in edges.get(here, ()):
            if name not in seen:
                if len(seen) > REACHED_MAX:
                    return
                seen.add(name)
                ahead.append((name, steps + 1))
                yield name, steps + 1
