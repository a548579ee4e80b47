"""A secret that lives in a file of its own, and is read each time that it is needed."""

from pathlib import Path

from guard.tokens import Unreadable


def secret_in(path: Path) -> str:
    """What the file holds now, without white space around it. Raises `Unreadable`, which names the file alone."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Unreadable(f"the secret file {path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unreadable(f"the secret file {path.name} is no text") from None
    if not secret:
        raise Unreadable(f"the secret file {path.name} is empty")
    return secret
