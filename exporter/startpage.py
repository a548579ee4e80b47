"""The page at `/`: what this is, which doors it has, and what is failing now.

One small document without scripts and without anything from elsewhere, readable on a phone. Every value is
escaped, because error texts can contain what a file or a mount point is called.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 42rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { margin: 0; } h2 { margin: 1.5rem 0 .5rem; font-size: 1.1rem; }
ul { list-style: none; padding: 0; margin: 0; } li { padding: .35rem 0; border-top: 1px solid #8884; }
.doors li { display: flex; flex-wrap: wrap; align-items: baseline; } .doors span { flex: 1 1 15rem; }
a, li > code { display: inline-block; min-width: 11rem; padding: .2rem 0; } code { font-size: .95em; }
.good, .bad { border-left: .4rem solid #2a2; padding-left: .6rem; } .bad { border-color: #c33; }
"""


class Collectors(NamedTuple):
    """How many the last scrape asked, and which of them have nothing to speak of here."""

    asked: int
    absent: Sequence[str]


def _door(path: str) -> str:
    shown = f"<code>{escape(path)}</code>"
    return shown if "…" in path else f'<a href="{escape(path)}">{shown}</a>'


def render(
    *, version: str, doors: Sequence[tuple[str, str]], failing: Mapping[str, str], collectors: Collectors | None
) -> str:
    """`collectors` is None as long as nobody has scraped. A door that has to be told something is no link."""
    links = "\n".join(f"<li>{_door(path)} <span>{escape(what)}</span></li>" for path, what in doors)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tocsin exporter</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Tocsin exporter</h1>
<p>Version {escape(version)}</p>
<h2>Now</h2>
{_now(failing, collectors)}
<h2>Doors</h2>
<ul class="doors">
{links}
</ul>
</body>
</html>
"""


def _now(failing: Mapping[str, str], collectors: Collectors | None) -> str:
    if failing:
        items = "\n".join(
            f"<li><strong>{escape(name)}</strong> {escape(error)}</li>" for name, error in failing.items()
        )
        said = f'<div class="bad">\n<p>Failing:</p>\n<ul>\n{items}\n</ul>\n</div>'
    elif collectors is None:
        return "<p>Nobody has scraped yet, so no collector has run.</p>"
    else:
        said = '<p class="good">Nothing is failing.</p>'
    return said if collectors is None else f"{said}\n{_ran(collectors)}"


def _ran(collectors: Collectors) -> str:
    absent = ", ".join(map(escape, collectors.absent))
    rest = f" Not on this machine: {absent}." if absent else ""
    return f"<p>The last scrape asked {collectors.asked} collectors.{rest}</p>"
