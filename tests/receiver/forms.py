"""Reads a page as a browser does that runs no scripts: its text, its links, its form and the buttons of that."""

from __future__ import annotations

from html.parser import HTMLParser


class Sheet(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.links: list[str] = []
        self.method = ""
        self.fields: dict[str, str] = {}  # what the form sends besides the button
        self.asked: list[str] = []  # fields that somebody must fill in
        self.buttons: list[dict[str, str]] = []
        self.attributes: set[str] = set()
        self.read: list[str] = []
        self._style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append(tag)
        self.attributes |= {*given}
        self._style = tag == "style"
        match tag:
            case "a":
                self.links.append(given["href"])
            case "form":
                self.method = given["method"]
            case "input" if given.get("type") == "hidden":
                self.fields[given["name"]] = given["value"]
            case "input":
                self.asked.append(given["name"])
            case "button":
                self.buttons.append(given)

    def handle_endtag(self, tag: str) -> None:
        self._style = self._style and tag != "style"

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.read.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.read).split())

    def pressed(self, value: str, **filled: str) -> dict[str, str]:
        """What the form sends when this button is pressed."""
        (button,) = [each for each in self.buttons if each["value"] == value]
        return {**self.fields, **filled, button["name"]: button["value"]}
