"""Faults in the delivery of an answer: silence, slowness, resets, encodings, line ends. Pure."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from or_magic.offline.chunks import Call
from or_magic.offline.faults.events import cut
from or_magic.offline.faults.fault import number, seconds
from or_magic.offline.steps import COMMENT, Close, Event, Head, Pause, Raw, Reset, Step, Steps, body_bytes

_AFTER = 3
_GZIP = 16 + zlib.MAX_WBITS
_COMMENT_S = 0.02


def _raw(steps: Steps) -> Iterator[Step]:
    return (Raw(body_bytes(step), step.tag, step.tokens) if isinstance(step, Event) else step for step in steps)


def mapped(change: Callable[[bytes], bytes]) -> Callable[[Steps, Call], Steps]:
    """Return a fault that changes the bytes of every event, and of a whole body."""

    def deliver(steps: Steps, _: Call) -> Steps:
        return (replace(step, data=change(step.data)) if isinstance(step, Raw) else step for step in _raw(steps))

    return deliver


def with_bom(steps: Steps, _: Call) -> Steps:
    """Begin the body with a byte order mark."""
    yield next(steps)
    yield Raw(b"\xef\xbb\xbf")
    yield from steps


def split_characters(steps: Steps, _: Call) -> Steps:
    """Cut every write inside a character of several bytes, where there is one."""
    for step in _raw(steps):
        if not isinstance(step, Raw):
            yield step
            continue
        inside = next((place for place, byte in enumerate(step.data) if byte >= 0xC0), -1) + 1
        if inside:
            yield Raw(step.data[:inside], flush=True)
            yield Pause(0.001)
        yield Raw(step.data[inside:], step.tag, step.tokens, flush=True)


def stalled(steps: Steps, call: Call) -> Steps:
    """Fall silent after some text, for ARG seconds or for ever."""
    yield from _interrupted(steps, Pause(seconds(call.arg, None)))


def _interrupted(steps: Steps, by: Step) -> Steps:
    texts = itertools.count(1)
    for step in steps:
        if isinstance(step, Event) and step.tag == "body":
            data = body_bytes(step)
            yield from (Raw(data[: len(data) // 2], flush=True), by, Raw(data[len(data) // 2 :], "body", step.tokens))
            continue
        yield step
        if getattr(step, "tag", None) == "text" and next(texts) == _AFTER:
            yield by


def stalled_first(steps: Steps, call: Call) -> Steps:
    """Send the headers, then fall silent."""
    yield next(steps)
    yield Pause(seconds(call.arg, None))
    yield from steps


def stalled_headers(steps: Steps, call: Call) -> Steps:
    """Send no byte at all."""
    yield Pause(seconds(call.arg, None))
    yield from steps


def slow_headers(steps: Steps, call: Call) -> Steps:
    """Send the headers byte by byte."""
    for step in steps:
        yield replace(step, byte_pause_s=seconds(call.arg, 1.0) or 0.0) if isinstance(step, Head) else step


def dripped(steps: Steps, call: Call) -> Steps:
    """Send the body byte by byte."""
    pause = Pause(seconds(call.arg, 0.05))
    for step in _raw(steps):
        if not isinstance(step, Raw):
            yield step
            continue
        for place in range(len(step.data) - 1):
            yield Raw(step.data[place : place + 1], flush=True)
            yield pause
        yield Raw(step.data[-1:], step.tag, step.tokens, flush=True)
        yield pause


def endless_comments(steps: Steps, call: Call) -> Steps:
    """Send comments and never an event."""
    yield next(steps)
    pause = Pause(seconds(call.arg, _COMMENT_S) or _COMMENT_S)
    while True:
        yield COMMENT
        yield pause


def many_comments(steps: Steps, call: Call) -> Steps:
    """Send ARG comments before the answer."""
    yield next(steps)
    if call.job.streamed:
        yield from itertools.repeat(COMMENT, int(number(call.arg, 20)))
    yield from steps


def endless_body(steps: Steps, _: Call) -> Steps:
    """Send everything, and never end the body."""
    yield from steps
    yield Pause(None)


def reset_after(steps: Steps, call: Call) -> Steps:
    """Send ARG bytes of the body, then reset."""
    left = int(number(call.arg, 400))
    for step in _raw(steps):
        if isinstance(step, Raw) and len(step.data) >= left:
            yield Raw(step.data[:left], flush=True)
            break
        left -= len(step.data) if isinstance(step, Raw) else 0
        yield step
    yield Reset()


def reset_after_head(steps: Steps, _: Call) -> Steps:
    """Send the headers, then reset."""
    yield next(steps)
    yield Reset()


def reset_at_once(_steps: Steps, _: Call) -> Steps:
    """Reset before any byte."""
    yield Reset()


def reset_inside_head(_steps: Steps, _: Call) -> Steps:
    """Send the beginning of the headers, then reset."""
    yield Raw(b"HTTP/1.1 200 OK\r\nContent-Ty", flush=True)
    yield Reset()


def closed_at_once(_steps: Steps, _: Call) -> Steps:
    """End the connection in an orderly way before any byte."""
    yield Close()


def too_short(steps: Steps, call: Call) -> Steps:
    """Promise ARG bytes more than the body has."""
    head, *rest = _raw(steps)
    size = sum(len(step.data) for step in rest if isinstance(step, Raw))
    if isinstance(head, Head):
        yield replace(head, length=size + int(number(call.arg, 100)))
    yield from rest


def zipped(steps: Steps, call: Call) -> Steps:
    """Send the body gzip encoded, if the client takes that."""
    return _gzip(steps, whole=True) if call.accepts_gzip else steps


def zipped_and_cut(steps: Steps, call: Call) -> Steps:
    """Send the body gzip encoded and end it in the middle; cut it plainly for a client that takes no gzip."""
    return _gzip(cut(steps, call), whole=False) if call.accepts_gzip else cut(steps, call)


def _gzip(steps: Steps, *, whole: bool) -> Iterator[Step]:
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    for step in _raw(steps):
        if isinstance(step, Head):
            yield replace(step, headers=(*step.headers, ("Content-Encoding", "gzip")))
        elif isinstance(step, Raw):
            yield replace(step, data=packer.compress(step.data) + packer.flush(zlib.Z_SYNC_FLUSH))
        else:
            yield step
    if whole:
        yield Raw(packer.flush())
