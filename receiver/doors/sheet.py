"""Pages for people in the night: plain HTML that needs no script, fetches nothing, and is kept and indexed nowhere.

Whatever came with an alert is text here: it prints, it is escaped, and a link is one only if it is http and shows where
it leads. What a browser may do with a page is nothing but to show it and to send its form back.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from types import MappingProxyType

from aiohttp import web

from guard.printable import printable
from receiver.links import is_address

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --red: #c62828; --amber: #b26a00; --green: #2e7d32; --blue: #1a5fb4; }
@media (prefers-color-scheme: dark) { :root { --red: #ff6b6b; --amber: #ffb74d; --green: #81c784; --blue: #7db4ff; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.3rem; line-height: 1.3; margin: 0 0 .3rem; } h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
header { border-left: .4rem solid var(--line); padding: .2rem .8rem; }
.s4, .s5 { border-color: var(--red); } .s2, .s3 { border-color: var(--amber); } .over { border-color: var(--green); }
.muted { opacity: .75; font-size: .9rem; } p { margin: .4rem 0; } a { color: inherit; }
.said { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; margin: .8rem 0; font-weight: 600; }
form { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; margin: 1rem 0; }
form .wide { grid-column: 1 / -1; }
button, input { font: inherit; padding: .8rem .6rem; border-radius: .5rem; border: 1px solid var(--line); width: 100%; }
button { background: #8882; color: inherit; font-weight: 600; cursor: pointer; }
button.first { background: var(--blue); border-color: var(--blue); color: Canvas; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .8rem; margin: .4rem 0; }
dt { opacity: .75; } dd { margin: 0; } article { border-top: 1px solid var(--line); padding: .5rem 0; }
ol { list-style: none; margin: 0; padding: 0; } li { border-top: 1px solid var(--line); padding: .35rem 0; }
"""

# Nothing is fetched, framed or run; forms go to where they came from.
_POLICY = (
    "default-src 'none'; "
    f"style-src 'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}


def sheet(
    title: str, *parts: str, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})
) -> web.Response:
    """`parts` are HTML, the title is text."""
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="robots" content="noindex, nofollow">\n'
        f"<title>{words(title)} · Tocsin</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body>\n</html>\n"
    )
    return web.Response(text=text, content_type="text/html", status=status, headers={**_HEADERS, **headers})


def words(text: str, characters_max: int = 400) -> str:
    """One line of text from anywhere."""
    return escape(printable(" ".join(text[: characters_max * 4].split()), characters_max))


def lines(text: str) -> str:
    """Its breaks stay, and a line that is an address and nothing else is a link."""
    return "<br>".join(link(line) if is_address(line) else escape(printable(line)) for line in text.splitlines())


def link(address: str, shown: str | None = None) -> str:
    """`shown` is text; without it the address shows itself."""
    return f'<a href="{escape(address)}" rel="noopener noreferrer">{words(shown or address, 900)}</a>'


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Names are text, what is known of them is HTML."""
    return f"<dl>{''.join(f'<dt>{words(name, 60)}</dt><dd>{shown}</dd>' for name, shown in rows)}</dl>"
