"""What a page of HTML is made of, as a browser would take it."""

from __future__ import annotations

from html.parser import HTMLParser

Element = tuple[str, tuple[tuple[str, str | None], ...]]


def skeleton(html: str) -> list[Element]:
    """Return every tag with its attributes, and every comment and declaration, in order; texts are left out."""
    parts = _Parts()
    parts.feed(html)
    parts.close()
    return parts.found


class _Parts(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}", ()))

    def handle_comment(self, data: str) -> None:
        self.found.append((f"comment {data}", ()))

    def handle_decl(self, decl: str) -> None:
        self.found.append((f"declaration {decl}", ()))

    def unknown_decl(self, data: str) -> None:
        self.found.append((f"declaration {data}", ()))

    def handle_pi(self, data: str) -> None:
        self.found.append((f"instruction {data}", ()))

    def handle_data(self, data: str) -> None:
        if "<" in data:
            self.found.append((f"loose < in {data[:60]}", ()))
