"""What stands in a mail, and what no label and no annotation can make of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from receiver.channels import letter
from receiver.channels.chart import chart_of
from receiver.incident import Incident, Status
from receiver.links import NO_LINKS, Links
from receiver.message import Kind, Message, compose_digest
from receiver.policy.mail import Mailbox, parse_mailbox
from tests.contract.values import incident
from tests.pages import fenced, text_of
from tests.receiver.builders import AT, message

SENDER = parse_mailbox("Tocsin <tocsin@example.org>")
TO = [parse_mailbox("ana@example.org")]
NASTY = "\x1b[2J\x07 line\r\nBcc: eve@example.org\r\n\r\n<script>alert(1)</script> \u202e\u2028 &amp; \ufeff end"
# A library that decodes these in a text makes a header, or the end of all headers, of what was hidden in them.
ENCODED = [
    "=?utf-8?q?a=0D=0ABcc:=20eve@example.org=0D=0A=0D=0Abody?=",
    "=?utf-8?b?YQ0KQmNjOiBldmVAZXhhbXBsZS5vcmcNCg0KYm9keQ==?=",
]
LINKS = Links(external_url="https://tocsin.example.org", key=bytes(32), journal=lambda: "j")
HEADERS = [
    *("Message-ID", "In-Reply-To", "References", "Subject", "From", "To", "Date", "Auto-Submitted"),
    *("X-Auto-Response-Suppress", "X-Tocsin-Incident", "X-Tocsin-Kind", "MIME-Version", "Content-Type"),
]

ELEMENTS = {"html", "head", "meta", "title", "body", "div", "h1", "h2", "table", "tr", "td", "p", "br", "a"}


def digest(*incidents: Incident, left_out: int = 0) -> Message:
    return compose_digest(journal="j", channel="mail", incidents=incidents, left_out=left_out, position=9, at=AT)


def written(
    sent: Message,
    *,
    sender: Mailbox = SENDER,
    recipients: Sequence[Mailbox] = TO,
    attach_json: bool = False,
    attach_chart: bool = False,
    links: Links = LINKS,
) -> EmailMessage:
    raw = letter.write(
        sent, sender=sender, recipients=recipients, attach_json=attach_json, attach_chart=attach_chart, links=links
    )
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.isascii()
    parsed = message_from_bytes(raw, policy=default)
    assert isinstance(parsed, EmailMessage)
    assert [part.defects for part in parsed.walk()] == [[] for _ in parsed.walk()]
    return parsed


def body(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


class Tags(HTMLParser):
    """Which elements there are, where links lead, and what a person reads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.read: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.read.append(data)

    @property
    def links(self) -> list[str | None]:
        return [value for name, value in self.attributes if name == "href"]


def test_mails_read_as_they_were_reviewed(golden: Callable[[str, str], None]) -> None:
    labels = {"alertname": "Down", "service": "shop", "severity": "critical"}
    texts = {
        "summary": "the shop is down",
        "description": "No answer for five minutes.\nCustomers see an error page.",
        "runbook_url": "https://runbooks.example.org/shop#down",
    }
    back = replace(incident(7, title="Slow"), reopened=1)
    shown = [
        message(kind=Kind.OPENED, labels=labels, annotations=texts, title="the shop is down"),
        message(kind=Kind.UPDATED, labels=labels, firing=2, assigned_to="ben"),
        message(kind=Kind.ESCALATED, labels=labels),
        message(kind=Kind.ACKNOWLEDGED, labels=labels, acknowledged_by="ana"),
        message(kind=Kind.RESOLVED, labels=labels),
        message(labels={"alertname": NASTY, "severity": NASTY}, annotations={NASTY: NASTY}, title=NASTY),
        digest(back, incident(5, status=Status.RESOLVED), left_out=21),
    ]
    mails = [written(each) for each in shown]
    golden("mails.txt", "\n".join(f"Subject: {mail['Subject']}\n\n{body(mail)}" for mail in mails))
    golden("mail.html", body(mails[0], "html"))
    (sample,) = fenced(text_of("email-channel.md"), "text")
    assert sample.rstrip() == f"Subject: {mails[0]['Subject']}\n\n{body(mails[0])}".rstrip()


def test_text_and_html_say_the_same() -> None:
    for sent in (message(firing=3, annotations={"summary": "a & b"}), digest(incident(7), incident(8), left_out=2)):
        mail = written(sent)
        read, plain = (" ".join(text.replace(":", " ").split()) for text in (_read(mail), body(mail)))
        assert plain in read


def test_a_mail_links_to_the_incident_and_to_a_page_to_answer_by_unless_it_is_over() -> None:
    for kind in (Kind.OPENED, Kind.UPDATED, Kind.ESCALATED, Kind.ACKNOWLEDGED, Kind.RESOLVED):
        mail = written(message(kind=kind, channel="ana@mail"))
        told = [line for line in body(mail).splitlines() if "/ack/" in line]
        linked = [link for link in Tags(body(mail, "html")).links if link and "/ack/" in link]
        assert len(told) == (kind is not Kind.RESOLVED)
        assert linked == told * 2  # a button, and where it leads
        assert all(LINKS.read(link.rpartition("/")[2])[:2] == ("T-1", "ana@mail") for link in told)
        assert "in Tocsin: https://tocsin.example.org/incidents/T-1\n" in body(mail)
        without = written(message(kind=kind), links=NO_LINKS)
        assert "tocsin.example.org" not in body(without) + body(without, "html")


def test_each_incident_of_a_digest_has_its_own_link() -> None:
    text = body(written(digest(incident(7), incident(8), incident(5, status=Status.RESOLVED))))
    links = re.findall(r"acknowledge, snooze or resolve: \S+/ack/(\S+)", text)
    assert [LINKS.read(link)[:2] for link in links] == [("T-7", "mail"), ("T-8", "mail")]


@pytest.mark.parametrize("attach_json", [False, True])
def test_a_chart_is_beside_the_html_that_shows_it_and_says_the_same_in_words(attach_json: bool) -> None:
    sent = message(firing=3)
    mail = written(sent, attach_chart=True, attach_json=attach_json)
    (picture,) = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    shown = Tags(body(mail, "html"))
    assert f"<{dict(shown.attributes)['src']}>".replace("cid:", "") == picture["Content-ID"]
    caption = "from 2026-03-01 07:50:00Z to 2026-03-01 08:00:00Z, at most 3 at a time, 3 at last"
    assert dict(shown.attributes)["alt"] == caption
    assert f"alerts that fire: {caption}\n" in body(mail)
    assert picture.get_payload(decode=True) == chart_of(letter.messages.read(sent), at=AT).png  # type: ignore[union-attr]
    assert picture.get_content_disposition() == "inline"
    kinds = [part.get_content_type() for part in mail.iter_attachments()] if attach_json else []
    assert kinds == ["application/json"] * attach_json
    assert mail.keys() == HEADERS
    plain = " ".join(body(mail).replace(":", " ").split())
    assert plain in " ".join(_read(mail).replace(":", " ").split())


def test_a_digest_has_no_chart() -> None:
    mail = written(digest(incident(7), incident(8)), attach_chart=True)
    assert "image/png" not in [part.get_content_type() for part in mail.walk()]


def test_what_is_cut_is_said_with_the_place_where_all_of_it_is() -> None:
    whole, cut = (written(message(annotations={"text": "x" * length})) for length in (1000, 1001))
    place = "Some of it is cut. All of it:\nhttps://tocsin.example.org/incidents/T-1\n"
    assert place not in body(whole)
    assert body(cut).endswith(place)
    assert Tags(body(cut, "html")).links.count("https://tocsin.example.org/incidents/T-1") == 2
    assert "cut" not in body(written(message(annotations={"text": "x" * 1001}), links=NO_LINKS))


def _read(mail: EmailMessage) -> str:
    return " ".join(Tags(body(mail, "html")).read)


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
TEXTS = st.one_of(
    st.text(max_size=300),
    st.sampled_from(
        [
            NASTY,
            *ENCODED,
            f"{'ä' * 90} {ENCODED[0]}",
            "\r\nBcc: eve@example.org",
            "--===",
            "a" * 9000,
            "\n" * 50,
            "https://example.org/a?b=<c>",
        ]
    ),
    st.text(alphabet="\r\n\0 :<>&\"'=?_.-@ä警", max_size=120),
)


@settings(max_examples=150)
@given(
    labels=st.dictionaries(NAMES, TEXTS, max_size=4),
    annotations=st.dictionaries(TEXTS, TEXTS, max_size=4),
    title=TEXTS,
    severity=TEXTS,
    attach=st.booleans(),
    chart=st.booleans(),
)
def test_whatever_an_alert_carries_is_a_mail_with_these_headers_and_no_other(
    labels: dict[str, str], annotations: dict[str, str], title: str, severity: str, attach: bool, chart: bool
) -> None:
    sent = message(labels={**labels, "severity": severity}, annotations=annotations, title=title, firing=2)
    mail = written(sent, attach_json=attach, attach_chart=chart)
    assert mail.keys() == HEADERS
    assert mail["To"] == "ana@example.org"
    assert mail["Subject"].isprintable()
    assert mail["Subject"] == letter.subject(sent, letter.messages.read(sent))
    assert all(line.isprintable() for line in body(mail).split("\n"))
    tags = Tags(body(mail, "html"))
    assert {*tags.opened} <= ELEMENTS | ({"img"} if chart else set())
    allowed = {"lang", "charset", "style", "href", "rel"} | ({"src", "alt", "width", "height"} if chart else set())
    assert {name for name, _ in tags.attributes} <= allowed
    assert {value for name, value in tags.attributes if name == "src"} <= {"cid:chart@tocsin"}
    assert all(re.match("https?://", link or "") for link in tags.links)
    assert [part.get_payload(decode=True) for part in mail.iter_attachments()] == [sent.body] * attach


@pytest.mark.parametrize("text", [*ENCODED, f"Überlast {ENCODED[0]}", "=?", "=?x", f"a {ENCODED[1]} b"])
def test_what_looks_encoded_stays_as_it_was_written(text: str) -> None:
    mail = written(message(title=text, labels={"alertname": text, "severity": text}, annotations={"a": text}))
    assert mail.keys() == HEADERS
    assert text in mail["Subject"]
    assert f"a: {text}\n" in body(mail)


def test_a_link_is_one_only_if_it_is_http_and_nothing_else() -> None:
    fine = "https://runbooks.example.org/shop?a=1&b=2#down"
    others = ["javascript:alert(1)", "see https://example.org/", "https://a@example.org/", 'http://x/"onload="y', "//x"]
    annotations = {f"a{number}": text for number, text in enumerate([fine, *others])}
    assert Tags(body(written(message(annotations=annotations), links=NO_LINKS), "html")).links == [fine]


def test_what_is_long_is_cut_and_what_is_many_is_counted() -> None:
    texts = {f"text{number}": "x" * 100_000 for number in range(30)}
    mail = written(message(firing=9, annotations=texts, title="y" * 300))
    text = body(mail)
    shown = text.count("annotations: and 20 more")
    assert 0 < shown < 9
    assert f"and {9 - shown} more\n" in text
    assert len(text) < letter.ALERTS_CHARACTERS_MAX * 1.1
    assert len(mail["Subject"]) <= letter.SUBJECT_CHARACTERS_MAX
    many = body(written(message(firing=letter.ALERTS_SHOWN_MAX + 12)))
    assert many.count("\nfiring: ") == letter.ALERTS_SHOWN_MAX
    assert "and 12 more\n" in many


def test_json_that_is_too_large_is_not_attached_and_that_is_said() -> None:
    large = message(annotations={"text": "x" * letter.ATTACHED_BYTES_MAX})
    mail = written(large, attach_json=True)
    assert list(mail.iter_attachments()) == []
    assert "The JSON is not attached: it is larger than 1048576 bytes." in body(mail)
    assert "not attached" in body(mail, "html")
    assert "not attached" not in body(written(large))


def test_a_digest_is_no_part_of_a_thread_and_names_its_incidents() -> None:
    mail = written(digest(incident(7, title="Down"), incident(8), left_out=3))
    assert mail["Message-ID"] == "<j-digest-9-mail@example.org>"
    assert (mail["In-Reply-To"], mail["References"]) == (None, None)
    assert mail["X-Tocsin-Incident"] == "T-7, T-8"
    assert mail["Subject"] == "Digest of 2 incidents, first critical: Down"
    assert "and 3 more, in the next digest" in body(mail)


def test_a_full_digest_to_many_names_them_all() -> None:
    incidents = [incident(number) for number in range(100)]
    recipients = [parse_mailbox(f"Für {number} <person{number}@mail.example.org>") for number in range(100)]
    mail = written(digest(*incidents), recipients=recipients)
    assert mail["X-Tocsin-Incident"].split(", ") == [each.id for each in incidents]
    assert [each.addr_spec for each in mail["To"].addresses] == [each.address for each in recipients]
    assert [each.display_name for each in mail["To"].addresses] == [each.name for each in recipients]


def test_a_long_name_stays_whole_in_the_headers_of_a_thread() -> None:
    sent = message("T-123456789", channel=f"a.{'b' * 60}")
    mail = written(sent, sender=parse_mailbox(f"t@{'x' * 60}.{'y' * 60}.example.org"))
    assert mail["Message-ID"] == f"<j-T-123456789-1-a%2E{'b' * 60}@{'x' * 60}.{'y' * 60}.example.org>"
    assert mail["References"] == f"<j-T-123456789@{'x' * 60}.{'y' * 60}.example.org>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ops@example.org", ("", "ops@example.org")),
        (" root@localhost ", ("", "root@localhost")),
        ("On Call <on-call+eu1@mail.example.org>", ("On Call", "on-call+eu1@mail.example.org")),
        ('"Ops, EU" <ops@example.org>', ("Ops, EU", "ops@example.org")),
        ("Bereitschaft für alle <b@example.org>", ("Bereitschaft für alle", "b@example.org")),
    ],
)
def test_an_address_is_read(text: str, expected: tuple[str, str]) -> None:
    assert parse_mailbox(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "ops", "@example.org", "ops@", "ops@example.org, eve@example.org", "a b@example.org", "ops@-x.org"),
        *("ops@example.org\r\nBcc: eve@example.org", "Ops <ops@example.org", "<a@b> <c@d>", "ops@exämple.org"),
        "=?utf-8?q?a=0D=0ABcc?= <ops@example.org>",
        *('"a"b" <ops@example.org>', f"{'x' * 250}@example.org", f"{'x' * 101} <ops@example.org>", "ops@example..org"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="an address such as"):
        parse_mailbox(text)
