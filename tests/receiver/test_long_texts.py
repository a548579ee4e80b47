"""A text of 100 KB is told by every channel, and each shows that it is not the whole of it."""

from __future__ import annotations

import io
from pathlib import Path

from receiver.channels import Channel
from receiver.channels.email import Email
from receiver.channels.pagerduty import PagerDuty
from receiver.channels.slack import Slack
from receiver.channels.terminal import Terminal
from receiver.channels.webhook import Webhook
from receiver.links import NO_LINKS
from receiver.message import read
from receiver.policy.mail import Smarthost, Tls, parse_mailbox
from receiver.texts import CHARACTERS_MAX
from tests.receiver.builders import SURELY, alert, webhook
from tests.receiver.world import Quiet, receiver, run

LONG = "words and more of them " * 5_000


def _channels(folder: Path) -> dict[str, Channel]:
    (folder / "secret").write_text("s3cret")
    return {
        "terminal": Terminal(io.StringIO()),
        "webhook": Webhook(
            url="http://127.0.0.1:1/", headers={}, timeout_seconds=SURELY, retry_seconds_max=60.0, secret_file=None
        ),
        "slack": Slack(
            channel="#ops",
            token_file=folder / "secret",
            api_url="http://127.0.0.1:1/",
            links=NO_LINKS,
            timeout_seconds=SURELY,
            retry_seconds_max=60.0,
        ),
        "pagerduty": PagerDuty(
            url="http://127.0.0.1:1/",
            routing_key_file=folder / "secret",
            links=NO_LINKS,
            timeout_seconds=SURELY,
            retry_seconds_max=60.0,
        ),
        "email": Email(
            smarthost=Smarthost("127.0.0.1", 1),
            sender=parse_mailbox("tocsin@example.org"),
            recipients=[parse_mailbox("ana@example.org")],
            tls=Tls.NONE,
            timeout_seconds=SURELY,
            retry_seconds_max=60.0,
        ),
    }


def test_a_text_of_100_kb_is_cut_and_says_so_in_every_channel(tmp_path: Path) -> None:
    assert len(LONG) > 100_000

    async def test() -> None:
        chat = Quiet()
        async with receiver(tmp_path, channels={"chat": chat}) as world:
            whole = alert(annotations={"summary": "it is down", "description": LONG})
            assert (await world.post(webhook([whole])))[0] == 200
            await world.decided()
        (message,) = chat.messages
        (told,) = read(message).alerts
        assert told.annotations["summary"] == "it is down"
        assert told.annotations["description"] == LONG[: CHARACTERS_MAX - 1] + "…"
        for name, channel in _channels(tmp_path).items():
            shown = channel.preview(message)
            await channel.close()
            assert "words and more of them" in shown, name
            assert "…" in shown, name
            assert len(shown) < 3 * CHARACTERS_MAX, name

    run(test())
