"""``%or image``: a text becomes pictures, shown as a cell shows an answer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ...engine import making
from ...errors import OptionError
from ...options import Options, attachment
from ..cell import make, resolve
from .command import Command, Parser

if TYPE_CHECKING:
    from ...values import Reply
    from ..face import Face

# The words come first, as they are: an apostrophe in them opens no quote.
_FIRST_OPTION = re.compile(r"(?:^|\s)(?=--[a-z]|-[a-z](?:\s|$))")
_NAMES = {
    "--size": "WxH or a tier such as 2K", "--aspect-ratio": "as 16:9", "--resolution": "512, 1K, 2K or 4K",
    "--quality": "auto, low, medium or high", "--background": "auto, transparent or opaque",
    "--output-format": "png, jpeg or webp",
}  # fmt: skip
_OPTIONS = (
    "-m", "--model", "-a", "--attach", "-n", "--seed", *_NAMES, "-p", "--param", "-o", "--out", "-q", "--quiet",
    "--budget", "-y", "--yes", "--tag",
)  # fmt: skip


def image(face: Face, rest: str) -> Reply:
    """Make pictures of the words of the line.

    Raises:
        OptionError, MediaError: it cannot be read; nothing was sent.
    """
    found = _FIRST_OPTION.search(rest)
    words, line = (rest[: found.start()], rest[found.start() :]) if found else (rest, "")
    if not words.strip():
        raise OptionError(
            "Write what is to be seen first, then the options: %or image TEXT [options]. Nothing was sent."
        )
    told = vars(_parser(face).read(line))
    shown = Options(out=told.pop("out"), quiet=told.pop("quiet"), tag=told["tag"])
    told["params"] = dict(told.pop("param") or ())
    told["references"] = told.pop("attach")
    given = {name: value for name, value in told.items() if value is not None}
    return make(face, making.image(words.strip(), given), shown)


def _parser(face: Face) -> Parser:
    def resolved(word: str) -> Any:
        return resolve(word, face.shell.user_ns)

    def text(word: str) -> str:
        return str(resolved(word))

    def pair(word: str) -> tuple[str, Any]:
        name, mark, value = word.partition("=")
        if not name or not mark:
            raise OptionError(f"{word!r} is not K=V. Nothing was sent.")
        try:
            return name, json.loads(value)
        except ValueError:
            return name, text(value)

    parser = Parser()
    parser.add_argument("-m", "--model", type=text)
    parser.add_argument("-a", "--attach", action="append", type=lambda word: attachment(word, resolved))
    parser.add_argument("-n", type=int)
    parser.add_argument("--seed", type=int)
    for name in _NAMES:
        parser.add_argument(name, type=text)
    parser.add_argument("-p", "--param", action="append", type=pair)
    parser.add_argument("-o", "--out", type=_identifier)
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("--budget")
    parser.add_argument("-y", "--yes", action="store_true", default=None)
    parser.add_argument("--tag", type=text)
    return parser


def _identifier(word: str) -> str:
    if not word.isidentifier():
        raise OptionError(f"{word!r} is no name that a reply can be bound to. Nothing was sent.")
    return word


COMMANDS = {
    "image": Command(image, "image TEXT [options]", "a picture of TEXT: -m, -n, --size, --aspect-ratio, …", _OPTIONS),
}
