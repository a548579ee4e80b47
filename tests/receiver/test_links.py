"""Signed links: what is ours is read, whatever is changed is not, and the same message always has the same one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver import message as messages
from receiver.incident import Status
from receiver.links import TOKEN_CHARACTERS_MAX, Claim, Links, NotGenuine, external_url
from receiver.message import Message
from tests.receiver.builders import AT, message

KEY = bytes(range(32))
EXTERNAL = "https://tocsin.example.org"
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True)
CHANNELS = st.one_of(NAMES, st.builds("{}@{}".format, NAMES, NAMES))
MOMENTS = st.integers(1_700_000_000, 4_100_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def links(**changes: object) -> Links:
    whole: dict[str, object] = {"external_url": EXTERNAL, "key": KEY, "journal": lambda: "j", **changes}
    return Links(**whole)  # type: ignore[arg-type]


def answer(made: Links, sent: Message) -> str | None:
    return made.answer(sent, messages.read(sent).incident)


def refused(made: Links, token: str) -> bool:
    try:
        made.read(token)
    except NotGenuine:
        return True
    return False


@given(number=st.integers(1, 10**15), channel=CHANNELS, ends=MOMENTS)
def test_a_token_says_what_was_put_into_it(number: int, channel: str, ends: datetime) -> None:
    token = links().token(f"T-{number}", channel, ends)
    assert links().read(token) == Claim(f"T-{number}", channel, ends)
    assert len(token) <= TOKEN_CHARACTERS_MAX
    assert token.isascii()
    assert not {*token} & {*"/+=&?#%<>\"' "}


@given(place=st.integers(0, 200), letter=st.characters(codec="ascii"), channel=CHANNELS)
def test_a_token_with_another_letter_is_not_ours(place: int, letter: str, channel: str) -> None:
    token = links().token("T-7", channel, AT)
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]
    assert refused(links(), changed) is (changed != token)


@given(st.one_of(st.text(max_size=400), st.text("ABCDabcd0123-_=", max_size=400)))
def test_whatever_is_no_token_is_refused_and_nothing_else_happens(text: str) -> None:
    assert refused(links(), text)


def test_a_token_cut_prolonged_or_padded_is_not_ours() -> None:
    token = links().token("T-7", "ana@mail", AT)
    assert not refused(links(), token)
    assert all(refused(links(), token[:length]) for length in range(len(token)))
    assert all(refused(links(), token + more) for more in ("A", "AA", "=", "==", "\n", " ", "%00"))


def test_neither_another_key_nor_another_journal_nor_no_key_reads_it() -> None:
    token = links().token("T-7", "mail", AT)
    assert refused(links(key=KEY[::-1]), token)
    assert refused(links(journal=lambda: "k"), token)
    assert refused(Links(external_url=EXTERNAL), token)


def test_the_seal_of_the_form_is_no_token_and_belongs_to_one() -> None:
    made = links()
    one, other = (made.token("T-7", channel, AT) for channel in ("mail", "chat"))
    assert made.seal(one) != made.seal(other)
    assert refused(made, made.seal(one))


def test_the_same_message_has_the_same_link_until_the_policy_says_otherwise() -> None:
    made = links()
    first = answer(made, message(channel="ana@mail"))
    assert first == answer(links(), message(channel="ana@mail"))
    assert first is not None
    assert made.read(first.rpartition("/")[2]) == Claim("T-1", "ana@mail", AT + timedelta(hours=24))
    made.valid_for = timedelta(hours=2)
    second = answer(made, message(channel="ana@mail"))
    assert second is not None
    assert made.read(second.rpartition("/")[2]).ends == AT + timedelta(hours=2)


def test_a_link_fits_into_a_line_of_a_mail() -> None:
    address = answer(links(), message("T-1234567", channel="ana@mail"))
    assert address is not None
    assert len(address) < 100


@pytest.mark.parametrize(
    ("made", "sent"),
    [
        (Links(), message()),
        (Links(external_url=EXTERNAL), message()),
        (Links(key=KEY), message()),
        (links(external_url="javascript:alert(1)"), message()),
        (links(external_url="https://x/'><script>"), message()),
        (links(), message(status=Status.RESOLVED)),
    ],
)
def test_there_is_no_link_where_none_can_be(made: Links, sent: Message) -> None:
    assert answer(made, sent) is None


@pytest.mark.parametrize("text", [EXTERNAL, "http://127.0.0.1:29093/", "https://[::1]:29093/tocsin"])
def test_an_address_for_people_is_taken_as_it_is_written(text: str) -> None:
    assert external_url(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "tocsin.example.org",
            "ftp://x/",
            "https://",
            "https:///x",
            "https://[x",
            "https://x/?a=1",
            "https://x/#a",
        ),
        *("https://ana:s3cret@x/", "https://x/'", "https://x/ y", "javascript:alert(1)", "https://ü.example.org"),
    ],
)
def test_what_cannot_be_put_before_a_path_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"^found .*, expected an address such as https://tocsin\.example\.org$"
    ) as raised:
        external_url(text)
    assert "s3cret" not in str(raised.value)


def test_a_path_in_front_is_kept_and_a_slash_is_not_doubled() -> None:
    assert (
        links(external_url="https://example.org/tocsin/").incident("T-1") == "https://example.org/tocsin/incidents/T-1"
    )
    assert links(external_url="https://example.org/tocsin/").overview == "https://example.org/tocsin"
    assert Links().incident("T-1") is None
