"""What of an incident and its alerts leaves by a channel, by the rules that the policy has for it.

A value that is hidden under one name is hidden wherever it stands: in the title, in other labels and annotations, in
reasons, in addresses. It is searched for as it is written there, with the escapes of quoting, percent-encoded, and
where a text was cut in the middle of it. A hash is keyed with bytes that only the store has, so that nobody can try out
all addresses until one fits.

All of it is bounded: where there is more to search than the limits allow, fewer alerts are shown, and they are counted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from receiver.incident import TITLE_CHARACTERS_MAX, AlertRecord, Incident
from receiver.policy.redaction import ALWAYS_SHOWN, Redact, Way
from receiver.texts import CHARACTERS_MAX
from receiver.view import AlertView, IncidentView, alert_view, incident_view

MASK = "•••"
VALUES_MAX = 10_000
# Each hidden value is looked for in every text: so many values, times so many characters.
SEARCHED_MAX = 50_000_000
# Shorter values are replaced as whole words only, or no text could be read any more.
_LONG = 3
_HASH_BYTES = 6
_FINGERPRINT_BYTES = 8
# What was found stands in the texts as one character that none of them has, until all is found: so a short value is not
# found in what stands for a long one. The characters before these stand between the texts.
_FIRST_MARK = 0xF0000
_BETWEEN = chr(_FIRST_MARK - 1)
_BETWEEN_FORMS = chr(_FIRST_MARK - 2)
_MARKS = re.compile(f"[{chr(_FIRST_MARK)}-\U0010ffff]")
_RESERVED = re.compile(f"[{_BETWEEN_FORMS}-\U0010ffff]")
_WORDS = re.compile(r"(\s+)")
_CUT_AT = (TITLE_CHARACTERS_MAX, CHARACTERS_MAX)
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_DECODED_TIMES = 3
_TRIED_MAX = 64

Places = dict[str, str | None]  # by name: what stands for a value, or None for one that is shown


class Hiding:
    """One incident as one set of rules lets it leave. `alerts` are all of which something may stand in its texts."""

    def __init__(
        self, rules: tuple[Redact, ...], *, key: bytes, incident: Incident, alerts: Iterable[AlertRecord]
    ) -> None:
        self._rules = rules
        self._key = key
        self._ways: dict[str, Way] = {}
        self._incident = incident
        self._search = Search(self._hidden_values(incident, alerts))
        self._shown: IncidentView | None = None

    def incident(self) -> IncidentView:
        if self._shown is None:
            view = incident_view(self._incident)
            labels, values = self._places(view.labels)
            words = iter(self._search.replaced([view.title, view.why, view.route or "", view.rule, *values]))
            title, why, route, rule = (next(words) for _ in range(4))
            route_shown = None if view.route is None else route
            self._shown = replace(
                view, title=title, why=why, route=route_shown, rule=rule, labels=_filled(labels, words)
            )
        return self._shown

    def alerts(self, alerts: Iterable[AlertRecord]) -> list[AlertView]:
        """The first of them, as many as can be searched."""
        parts: list[tuple[AlertView, Places, Places]] = []
        texts: list[str] = []
        room = self._search.room
        for alert in alerts:
            view = alert_view(alert)
            labels, values = self._places(view.labels)
            annotations, said = self._places(view.annotations)
            own = [view.generator_url, *values, *said]
            room -= sum(map(effort, own))
            if room < 0:
                break
            texts += own
            parts.append((view, labels, annotations))
        words = iter(self._search.replaced(texts))
        return [
            replace(
                view,
                generator_url=next(words),
                labels=_filled(labels, words),
                annotations=_filled(annotations, words),
                fingerprint=self._fingerprint(view),
            )
            for view, labels, annotations in parts
        ]

    def texts(self, texts: Sequence[str]) -> list[str]:
        """What is written about the incident elsewhere, such as its story; as many as can be searched, then masks."""
        room, some = self._search.room, len(texts)
        for place, text in enumerate(texts):
            room -= effort(text)
            if room < 0:
                some = place
                break
        return [*self._search.replaced(texts[:some]), *(MASK for _ in texts[some:])]

    def _way(self, name: str) -> Way:
        way = self._ways.get(name)
        if way is None:
            found = next((rule.way for rule in self._rules if rule.takes(name)), Way.SHOWN)
            self._ways[name] = way = Way.SHOWN if name == ALWAYS_SHOWN else found
        return way

    def _hidden_values(self, incident: Incident, alerts: Iterable[AlertRecord]) -> dict[str, str]:
        """And what stands for each. Of two ways to hide the same value, the one that tells less."""
        values: dict[str, str] = {}
        for named in _texts_of(incident, alerts):
            for name, value in named.items():
                way = self._way(name)
                if way is not Way.SHOWN and values.get(value) != MASK and any(map(str.isalnum, value)):
                    values[value] = self._hashed(value) if way is Way.HASHED else MASK
            if len(values) > VALUES_MAX:
                break
        return values

    def _places(self, named: Mapping[str, str]) -> tuple[Places, list[str]]:
        """The names that leave, each with what stands for its value; and the values that are shown, in their order."""
        places: Places = {}
        shown: list[str] = []
        for name, value in named.items():
            match self._way(name):
                case Way.SHOWN:
                    places[name] = None
                    shown.append(value)
                case Way.HASHED:
                    places[name] = self._hashed(value) if value else ""
                case Way.MASKED:
                    places[name] = MASK if value else ""
                case Way.DROPPED:
                    pass
        return places, shown

    def _hashed(self, value: str) -> str:
        return f"#{self._digest(value, _HASH_BYTES)}"

    def _digest(self, text: str, length: int) -> str:
        data = text.encode(errors="surrogatepass")
        return hashlib.blake2b(data, key=self._key, digest_size=length).hexdigest()

    def _fingerprint(self, view: AlertView) -> str:
        """Alertmanager makes it of the labels: who knows the others could try out the one that is hidden."""
        if all(self._way(name) is Way.SHOWN for name in view.labels):
            return view.fingerprint
        return self._digest(view.fingerprint, _FINGERPRINT_BYTES)


class Search:
    """Finds hidden values in texts. `values` has what stands for each."""

    def __init__(self, values: Mapping[str, str]) -> None:
        ordered = sorted(values, key=lambda value: (-len(value), value))[:VALUES_MAX]
        self._stands_for = [values[value] for value in ordered]
        self._long: list[tuple[str, str]] = []  # what to look for, and its mark
        short: dict[str, str] = {}
        for place, value in enumerate(ordered):
            mark = chr(_FIRST_MARK + place)
            if len(value) < _LONG:
                short[_clean(value)] = mark
            else:
                self._long += [(written, mark) for written in _ways_to_write(_clean(value))]
        self._short = short
        either = "|".join(map(re.escape, short))
        self._words = re.compile(rf"(?<!\w)(?:{either})(?!\w)") if short else None
        self._masked = chr(_FIRST_MARK + len(ordered))  # for words that go as a whole
        self._stands_for.append(MASK)
        self._too_many = len(values) > VALUES_MAX
        # How much can be searched, in the measure of `effort`.
        self.room = 0 if self._too_many else SEARCHED_MAX // max(1, len(self._long))

    def replaced(self, texts: Sequence[str]) -> list[str]:
        if len(self._stands_for) == 1 or not texts:
            return list(texts)
        if self._too_many:
            return [MASK if text else "" for text in texts]
        marked = self._marked(self._without_addresses([self._without_beginnings(_clean(text)) for text in texts]))
        return [_MARKS.sub(lambda found: self._stands_for[ord(found[0]) - _FIRST_MARK], text) for text in marked]

    def _marked(self, texts: Sequence[str]) -> list[str]:
        """All at once: there may be many of them, and many values."""
        whole = _BETWEEN.join(texts)
        for written, mark in self._long:
            whole = whole.replace(written, mark)
        if self._words is not None:
            whole = self._words.sub(lambda found: self._short[found[0]], whole)
        return whole.split(_BETWEEN)

    def _without_beginnings(self, text: str) -> str:
        """A text that was cut may end with the beginning of a value."""
        if "…" not in text and len(text) not in _CUT_AT:
            return text
        *cut, last = text.split("…")
        if len(text) in _CUT_AT:
            last = self._without_beginning(last)
        return "…".join([*(self._without_beginning(part) for part in cut), last])

    def _without_beginning(self, part: str) -> str:
        for written, mark in self._long:
            at = max(0, len(part) - len(written) + 1)
            for _ in range(_TRIED_MAX):
                at = part.find(written[:_LONG], at)
                if at < 0:
                    break
                if written.startswith(part[at:]):
                    return part[:at] + mark
                at += 1
            else:
                return mark  # somebody made it hard to tell: then none of it is shown
        return part

    def _without_addresses(self, texts: list[str]) -> list[str]:
        """Where a value stands percent-encoded in a word, which is most often an address, the query of that goes; where
        this is not enough, all of it."""
        split = {place: _WORDS.split(text) for place, text in enumerate(texts) if _is_encoded(text)}
        words = list(dict.fromkeys(word for parts in split.values() for word in parts if _is_encoded(word)))
        if not words:
            return texts
        decoded = [_BETWEEN_FORMS.join(_decoded(word)) for word in words]
        places = [_BETWEEN_FORMS.join(_decoded(word.partition("?")[0])) for word in words]
        marked = self._marked([*decoded, *places])
        instead: dict[str, str] = {}
        for number, word in enumerate(words):
            if marked[number] != decoded[number]:
                place, query, _ = word.partition("?")
                harmless = query and marked[len(words) + number] == places[number]
                instead[word] = f"{place}?{self._masked}" if harmless else self._masked
        return [
            "".join(instead.get(word, word) for word in split[number]) if number in split else text
            for number, text in enumerate(texts)
        ]


def effort(text: str) -> int:
    """What has escapes in it is searched several times."""
    return len(text) * (4 if _is_encoded(text) else 1)


def _texts_of(incident: Incident, alerts: Iterable[AlertRecord]) -> Iterator[Mapping[str, str]]:
    yield incident.labels
    yield incident.group_labels
    for alert in alerts:
        yield alert.labels
        yield alert.annotations


def _filled(places: Places, words: Iterator[str]) -> dict[str, str]:
    return {name: next(words) if value is None else value for name, value in places.items()}


def _clean(text: str) -> str:
    return text if text.isascii() else _RESERVED.sub("\ufffd", text)


def _is_encoded(text: str) -> bool:
    return "%" in text or "+" in text


def _ways_to_write(value: str) -> list[str]:
    """As it is, and with the escapes that it gets where it is quoted: in JSON, by Go, by Python."""
    quoted = repr(value)[1:-1]
    by_go = quoted.replace("\\'", "'").replace('"', '\\"')
    in_json = (json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (False, True))
    return list(dict.fromkeys((value, *in_json, quoted, by_go)))


def _decoded(word: str) -> Iterator[str]:
    """As an address has it, and as an address in an address has it; a plus may be a space."""
    for _ in range(_DECODED_TIMES):
        before = word
        data = word.encode(errors="surrogatepass")
        word = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), data).decode(errors="replace")
        if "+" in before:
            yield _clean(word.replace("+", " "))
        if word == before:
            return
        yield _clean(word)
