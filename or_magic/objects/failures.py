"""An exception as text: what happened, and the lines of one's own code that led there; no values. Reads sources."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
import textwrap
import traceback
from collections.abc import Iterator
from itertools import groupby
from types import TracebackType

from .bound import cut, short

_BEFORE, _AFTER = 3, 1  # lines around the failing one
_FIRST, _LAST = 4, 6  # frames of a deep recursion
_LIBRARIES = tuple({os.path.realpath(path) + os.sep for path in sysconfig.get_paths().values() if path})
_PLACES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_MOST_LINKS = 5
_WIDTH = 160  # characters of a line


def failure_text(error: BaseException, tokens: int) -> str:
    """Return an exception with what caused it, the first cause first."""
    links = list(_chain(error))
    told = [_one(link) for place, link in enumerate(links) if place == 0 or not _is_echo(link, links[place - 1])]
    return cut("\n\nwhich led to\n\n".join(reversed(told)), tokens)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen and len(seen) < _MOST_LINKS:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _is_echo(cause: BaseException, error: BaseException) -> bool:
    """Whether a library only raised its own error anew."""
    own = any("line " in frame for frame in _frames(cause.__traceback__))
    return not own and type(cause) is type(error) and str(cause) == str(error)


def _one(error: BaseException) -> str:
    lines = [*_message(error)]
    frames = list(_together(_frames(error.__traceback__)))
    if len(frames) > _FIRST + _LAST:
        left = len(frames) - _FIRST - _LAST
        frames = [*frames[:_FIRST], f"  [… {left:,} more calls in between]", *frames[-_LAST:]]
    if frames:
        lines += ["Traceback, the latest call last:", *frames]
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for number, each in enumerate(inner[:_MOST_LINKS], 1):
        lines += [f"{number} of {len(inner)} inside it:", textwrap.indent(_one(each), "  ")]
    return "\n".join(lines)


def _together(frames: Iterator[str]) -> Iterator[str]:
    for frame, same in groupby(frames):
        yield frame
        if more := sum(1 for _ in same) - 1:
            yield f"  [… the same call {more:,} more {'time' if more == 1 else 'times'}]"


def _message(error: BaseException) -> Iterator[str]:
    if isinstance(error, SyntaxError):
        yield f"{type(error).__name__}: {error.msg}"
        if error.text:
            yield f"in line {error.lineno} of {_place(error.filename or '')}:"
            yield f"    {error.text.rstrip()}"
            yield f"    {' ' * max(0, (error.offset or 1) - 1)}^"
        return
    yield "".join(traceback.format_exception_only(error)).rstrip()


def _frames(found: TracebackType | None) -> Iterator[str]:
    """Yield the calls of one's own code with their lines, and, where it ended in a library, its last call."""
    library = None
    while found is not None:
        code, number = found.tb_frame.f_code, found.tb_lineno
        if _is_library(code.co_filename, found.tb_frame.f_globals.get("__name__", "")):
            library = f"  raised in {_library(code.co_filename)}, {code.co_name}"
        else:
            library = None
            name = "" if code.co_name == "<module>" else f", in {code.co_name}"
            yield "\n".join([f"  {_place(code.co_filename)}, line {number}{name}:", *_around(code.co_filename, number)])
        found = found.tb_next
    if library is not None:
        yield library


def _around(filename: str, number: int) -> Iterator[str]:
    lines = linecache.getlines(filename)
    last = min(len(lines), number + _AFTER)
    while last > number and not lines[last - 1].strip():
        last -= 1
    for place in range(max(1, number - _BEFORE), last + 1):
        yield f"  {'>' if place == number else ' '} {place:>3}  {short(lines[place - 1].rstrip(), _WIDTH)}".rstrip()


def _is_library(filename: str, module: str) -> bool:
    if filename.startswith("<frozen") or module.partition(".")[0] in ("IPython", "ipykernel"):
        return True
    if filename.startswith("<"):
        return False
    if not os.path.isabs(filename) and not os.path.exists(filename):
        return True  # compiled from a file that is not here
    path = os.path.realpath(filename)
    return any(place in path for place in _PLACES) or path.startswith((*_LIBRARIES, _OURS))


def _library(filename: str) -> str:
    """Return a library's file as one imports it: nobody needs to know where it is installed."""
    if not os.path.isabs(filename):
        return filename
    path = os.path.realpath(filename)
    for root in sorted([*map(os.path.realpath, sys.path), *_LIBRARIES], key=len, reverse=True):
        if root and path.startswith(root.rstrip(os.sep) + os.sep):
            return os.path.relpath(path, root)
    return os.path.basename(path)


def _place(filename: str) -> str:
    """Return a file as seen from here; of others only the name."""
    entry = linecache.cache.get(filename)
    if filename.startswith("<") or (entry is not None and len(entry) > 1 and entry[1] is None):
        return "A cell" if not filename.startswith("<") or filename.startswith("<ipython") else filename
    path = os.path.realpath(filename)
    here = os.path.realpath(os.getcwd()) + os.sep
    return path.removeprefix(here) if path.startswith(here) else os.path.basename(path)
