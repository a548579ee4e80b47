"""What no single place of a channel shows: keys that do not go together."""

from __future__ import annotations

from collections.abc import Iterator

from receiver.policy.mail import Tls, parse_smarthost, tls_of
from receiver.policy.shapes import Path, Told, items


def channel_faults(channels: object) -> Iterator[Told]:
    """Each is given as it was written, whatever its shape is."""
    for name, channel in items(channels):
        written = dict(items(channel))
        yield from _templates(("channels", name, "templates"), dict(items(written.get("templates"))))
        match written.get("type"):
            case "email":
                yield from _mail(("channels", name), written)
            case "slack":
                yield from _slack(("channels", name), written)
            case "webhook":
                yield from _webhook(("channels", name), written)


def _templates(path: Path, templates: dict[str, object]) -> Iterator[Told]:
    for key in templates:
        if f"{key}_file" in templates:
            yield (*path, f"{key}_file"), "a second template", f"either `{key}` or `{key}_file`"


def _slack(path: Path, channel: dict[str, object]) -> Iterator[Told]:
    ways = [key for key in ("token_file", "webhook_url_file") if channel.get(key) is not None]
    if len(ways) != 1:
        found = " and ".join(f"`{key}`" for key in ways) or "no way to Slack"
        yield path, found, "either `token_file` with `channel`, or `webhook_url_file`"
    elif ways == ["token_file"] and channel.get("channel") is None:
        yield (*path, "channel"), "nothing", "a channel in quotes, such as '#ops', beside `token_file`"
    elif ways == ["webhook_url_file"] and channel.get("channel") is not None:
        expected = "no `channel` beside `webhook_url_file`: a webhook posts where it was made for"
        yield (*path, "channel"), f"{channel['channel']!r}", expected
    if ways == ["webhook_url_file"] and channel.get("signing_secret_file") is not None:
        expected = "`token_file` with `channel` beside it: what a webhook posts has no buttons"
        yield (*path, "signing_secret_file"), "a signing secret beside a webhook", expected


def _webhook(path: Path, channel: dict[str, object]) -> Iterator[Told]:
    if channel.get("key_file") is not None and channel.get("cert_file") is None:
        yield (*path, "key_file"), "a key and no certificate", "`cert_file` beside it"
    url = channel.get("url")
    if isinstance(url, str) and url.lower().startswith("http:"):
        for key in ("ca_file", "cert_file"):
            if channel.get(key) is not None:
                yield (*path, key), "certificates, and no TLS", "an `url` that begins with https:"


def _mail(path: Path, channel: dict[str, object]) -> Iterator[Told]:
    username, password, chosen = (channel.get(key) for key in ("username", "password_file", "tls"))
    if username is None and password is not None:
        yield (*path, "password_file"), "a password and no user", "username beside it"
    if username is not None and password is None:
        yield (*path, "username"), "a user and no password", "password_file beside it"
    try:
        smarthost = parse_smarthost(str(channel.get("smarthost")))
        tls = tls_of(smarthost, None if chosen is None else str(chosen))
    except ValueError:
        return  # a fault of its own, found by the schema
    if tls is Tls.NONE and username is not None and not smarthost.is_here:
        yield (*path, "tls"), "'none', which sends the password in the clear", "starttls or tls"
    if tls is Tls.NONE and channel.get("ca_file") is not None:
        yield (*path, "ca_file"), "certificates, and no TLS", "`tls: starttls` or `tls: tls` beside it"
