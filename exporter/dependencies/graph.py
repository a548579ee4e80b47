"""Who needs whom, and whose fault it is. Pure.

Among what is sick, a root cause is what needs nothing that is sick, neither itself nor by way of others. Whatever else
is sick is so because of one; the shortest way to it says which.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

Needs = Mapping[str, Sequence[str]]


def cycles(needs: Needs) -> list[tuple[str, ...]]:
    """Ways that lead back to where they began, the beginning at both ends; one for each place where a way closes.

    Names that are needed and not there are passed over.
    """
    found: list[tuple[str, ...]] = []
    left: dict[str, bool] = {}  # False while the way goes through it
    for start in needs:
        if start in left:
            continue
        way = [start]
        open_needs = [iter(needs[start])]
        left[start] = False
        while way:
            need = next(open_needs[-1], None)
            if need is None:
                left[way.pop()] = True
                open_needs.pop()
            elif need not in needs:
                continue
            elif need not in left:
                left[need] = False
                way.append(need)
                open_needs.append(iter(needs[need]))
            elif not left[need]:
                found.append((*way[way.index(need) :], need))
    return found


class Graph:
    """Without cycles."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        needed_by: dict[str, list[str]] = {name: [] for name in needs}
        for name, needed in needs.items():
            for each in needed:
                needed_by[each].append(name)
        self._needed_by: Needs = needed_by

    def below(self, name: str) -> list[str]:
        """All that it needs, itself and by way of others, the nearest first."""
        return _reached(name, self._needs)

    def above(self, name: str) -> list[str]:
        """All that needs it, itself and by way of others, the nearest first."""
        return _reached(name, self._needed_by)

    def causes(self, sick: Collection[str]) -> dict[str, tuple[str, ...]]:
        """For each that is sick the way to its nearest root cause, itself first; a root cause is alone on its way."""
        not_roots = _all_reached(sick, self._needed_by)
        ways: dict[str, tuple[str, ...]] = {
            name: (name,) for name in self._needs if name in sick and name not in not_roots
        }
        edge = list(ways)
        while edge:
            further: list[str] = []
            for name in edge:
                for above in self._needed_by[name]:
                    if above not in ways:
                        ways[above] = (above, *ways[name])
                        further.append(above)
            edge = further
        return {name: ways[name] for name in self._needs if name in sick}


def _reached(name: str, edges: Needs) -> list[str]:
    return list(_all_reached((name,), edges))


def _all_reached(starts: Iterable[str], edges: Needs) -> dict[str, None]:
    """What is behind these, the nearest first; of these themselves only what is behind another one."""
    found: dict[str, None] = {}
    edge = list(starts)
    while edge:
        further = dict.fromkeys(each for name in edge for each in edges[name] if each not in found)
        found.update(further)
        edge = list(further)
    return found
