"""Passwords, keys and tokens: by how they begin, by what stands before them, and by looking drawn by chance."""

import re
from collections.abc import Callable

from guard.redaction.checks import drawn

Seen = Callable[[str], object]

# Somebody's key as its maker marks it, a JSON web token, a private key, what stands behind a scheme of HTTP.
_MARKED = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}"
    r"|(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{12,}"
    r"|gh[opusr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|gl(?:pat|ptt|dt|rt|cbt)-[\w-]{16,}"
    r"|xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}"
    r"|(?:sk|pk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{10,}|sk-[A-Za-z0-9_-]{16,}"
    r"|AIza[\w-]{20,}|ya29\.[\w-]{16,}|SG\.[\w-]{10,}\.[\w-]{10,}|npm_[A-Za-z0-9]{20,}|pypi-[\w-]{16,}"
    r"|hv[sbr]\.[\w-]{16,}|shp(?:at|ca|pa|ss)_[A-Za-z0-9]{16,}|do[opr]_v1_[a-f0-9]{16,}"
    r")"
)
_SCHEME = re.compile(r"(?<![A-Za-z0-9])(Bearer|Basic|Digest|Negotiate|ApiKey) {1,3}([\w.~+/=-]{6,})", re.IGNORECASE)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL
)
_USERINFO = re.compile(r"://[^/\s?#@]{1,300}@")
# Behind such a name, whatever stands there is one; so it is behind `db_password`, of which it is the last part.
_NAMES_OF_THEM = (
    "pass passwd password passphrase pwd secret token apikey accesskey privatekey secretkey clientsecret accesstoken"
    " refreshtoken idtoken auth authorization credential credentials cookie session sessionid sid jsessionid phpsessid"
    " csrf csrftoken signature otp cvv cvc"
)
_NAMES_OF_PEOPLE = "user username userid uid login email mail phone mobile firstname lastname fullname"
_SECRETS, _PERSONS = frozenset(_NAMES_OF_THEM.split()), frozenset(_NAMES_OF_PEOPLE.split())
# A name, and what stands between it and its value: an equals sign, or a colon, which may be that of a sentence.
_SAID = re.compile(r"(?<![\w-])([\w-]{2,40})(\"?'?\s{0,2}=>?\s{0,2}|[\"']\s{0,2}:\s{0,2}|: {0,2})")
_VALUE = re.compile(r"\"[^\"]{0,300}\"?|'[^']{0,300}'?|[^\s\"'&,;)}\]]{1,300}")
# What says that nothing is there.
_NOTHING = ("", "null", "none", "None", "nil", "true", "false", "-", "*", "?")
_UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_HEXADECIMAL = re.compile(
    r"(?<![0-9A-Za-z])(?:0x)?(?=[A-Fa-f]{0,40}[0-9])(?=[0-9]{0,40}[A-Fa-f])[0-9A-Fa-f]{16,}(?![0-9A-Za-z])"
)
_LONG = re.compile(r"[A-Za-z0-9_+/=-]{16,}")


def told(text: str, seen: Seen) -> str:
    """What the words around it tell. This comes before addresses, which may be a part of it."""
    if "PRIVATE" in text:
        text = _PRIVATE_KEY.sub(lambda _: _said(seen, "secret", "[SECRET]"), text)
    if "://" in text and "@" in text:
        text = _USERINFO.sub(lambda _: _said(seen, "user", "://[USER]@"), text)
    if "=" in text or ":" in text:
        text = _named(text, seen)
    if len(text) >= 12:
        text = _SCHEME.sub(lambda found: _behind_a_scheme(found, seen), text)
        text = _MARKED.sub(lambda _: _said(seen, "token", "[TOKEN]"), text)
    return text


def looking_so(text: str, seen: Seen) -> str:
    """What looks like an identifier or a key, whoever made it."""
    if text.count("-") >= 4:
        text = _UUID.sub(lambda _: _said(seen, "uuid", "[UUID]"), text)
    if len(text) >= 16:
        text = _HEXADECIMAL.sub(lambda _: _said(seen, "token", "[TOKEN]"), text)
        text = _LONG.sub(lambda found: _said(seen, "token", "[TOKEN]") if _chance(found[0]) else found[0], text)
    return text


def _chance(run: str) -> bool:
    """With slashes in it, it may be a path, of which each part is looked at alone."""
    return drawn(run) if "/" not in run else drawn(run.replace("/", "")) or any(map(drawn, run.split("/")))


def _said(seen: Seen, pattern: str, word: str) -> str:
    seen(pattern)
    return word


def _behind_a_scheme(found: re.Match[str], seen: Seen) -> str:
    """Not the words of a sentence: basic authentication, bearer credentials."""
    if found[2].rstrip(".").isalpha() and found[2].islower():
        return found[0]
    return f"{found[1]} {_said(seen, 'token', '[TOKEN]')}"


def _named(text: str, seen: Seen) -> str:
    done: list[str] = []
    at = 0
    for name in _SAID.finditer(text):
        pattern = _means(name[1].lower()) if name.start() >= at else ""
        value = _VALUE.match(text, name.end()) if pattern else None
        if value is None or not _is_value(value[0], pattern, sentence=name[2].startswith(":")):
            continue
        done += [text[at : name.end()], _said(seen, pattern, f"[{pattern.upper()}]")]
        at = value.end()
    return "".join([*done, text[at:]]) if done else text


def _is_value(value: str, pattern: str, *, sentence: bool) -> bool:
    """Not what was replaced before, a placeholder, or the word of a sentence: token: expired."""
    if value.startswith(("[", "{", "<", "$")) or value.strip("\"'") in _NOTHING:
        return False
    return not sentence or (pattern == "secret" and not value.rstrip(".!?").isalpha())


def _means(name: str) -> str:
    """The pattern of what stands behind such a name; empty for other names."""
    words = re.split(r"[_-]", name)
    last = words[-1], "".join(words[-2:]), "".join(words)
    if not _SECRETS.isdisjoint(last):
        return "secret"
    return "" if _PERSONS.isdisjoint(last) else "user"
