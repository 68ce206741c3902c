"""Renderers of Markdown, and what in their HTML could act."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path

from ..guards import HANG_S

Render = Callable[[Sequence[str]], list[str]]

_PLAIN = (
    "p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong del s br hr table thead tbody tr th td dl dt dd "
    "div span input a"
)
_ELEMENTS = frozenset(_PLAIN.split())
_NAME = re.compile(r"[\w .+#-]*")
_STYLE = re.compile(r"text-align: ?(?:left|right|center);?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HARMLESS = ("http:", "https:", "mailto:")


class _Watch(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _ELEMENTS:
            self.found.append(f"<{tag}>")
        self.found += [f"{tag} {name}={value!r}" for name, value in attrs if not _is_made_by_markdown(tag, name, value)]

    def handle_endtag(self, tag: str) -> None:
        if tag not in _ELEMENTS:
            self.found.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if re.search(r"<[A-Za-z/!?]", data):
            self.found.append(f"unfinished {data!r}")

    def handle_comment(self, data: str) -> None:
        self.found.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.found.append(f"<!{decl}>")

    def unknown_decl(self, data: str) -> None:
        self.found.append(f"<![{data}]>")

    def handle_pi(self, data: str) -> None:
        self.found.append(f"<?{data}>")


def _is_made_by_markdown(tag: str, name: str, value: str | None) -> bool:
    value = value or ""
    if name == "href":
        # A browser drops these before it looks for the scheme.
        scheme = _SCHEME.match(re.sub(r"[\t\n\r]", "", value).lstrip("".join(map(chr, range(33)))))
        return tag == "a" and (scheme is None or scheme[0].lower() in _HARMLESS)
    if name == "class":
        return tag in ("code", "pre", "span", "div", "li", "input", "a", "ul") and bool(_NAME.fullmatch(value))
    if name in ("type", "disabled", "checked"):
        return tag == "input" and value in ("checkbox", "disabled", "")
    if name == "style":
        return tag in ("td", "th") and bool(_STYLE.fullmatch(value))
    return (
        (name == "title" and tag == "a")
        or (name, tag) in {("align", "td"), ("align", "th"), ("start", "ol")}
        or (name == "id" and tag in ("h1", "h2", "h3", "h4", "h5", "h6"))
    )


def live(html: str) -> list[str]:
    """Return what in the HTML is not what Markdown itself makes."""
    watch = _Watch()
    try:
        watch.feed(html)
        watch.handle_data(watch.rawdata)  # a tag without its end; what follows may bring one
        watch.close()
    except AssertionError as error:  # how html.parser refuses a declaration
        watch.found.append(str(error))
    return watch.found


def markdown_it(texts: Sequence[str]) -> list[str]:
    """Render as VS Code and others do: CommonMark with tables and raw HTML."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return [parser.render(text) for text in texts]


def mistune(texts: Sequence[str]) -> list[str]:
    """Render as nbconvert does."""
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    return [markdown2html_mistune(text) for text in texts]


class Marked:
    """JupyterLab's renderer in a process of node."""

    def __init__(self, folder: Path) -> None:
        script = Path(__file__).with_name("marked.mjs")
        self._process = subprocess.Popen(
            ["node", str(script), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
            env={"PATH": os.environ["PATH"]},
        )  # fmt: skip

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """Return the HTML of each text."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(list(texts)) + "\n")
        self._process.stdin.flush()
        answer: list[str] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=HANG_S)
