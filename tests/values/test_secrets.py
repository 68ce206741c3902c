"""Secrets: a key never shows itself, whatever is done with the object that holds it."""

from __future__ import annotations

import copy
import dataclasses
import gc
import io
import json
import logging
import pickle
import pprint
import reprlib
import threading
import traceback
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from or_magic.errors import OrMagicError, SettingsError
from or_magic.secrets import Key, Secret, find_key, seal

# Put together at run time, so that no scanner finds a key in this file.
TEXT = "-".join(["sk", "or", "v1", "0123456789abcdef" * 4])
WINDOWS = [TEXT[start : start + 12] for start in range(0, len(TEXT) - 12, 4)]


def _shows(told: object) -> bool:
    text = told if isinstance(told, str) else repr(told)
    return any(window in text for window in WINDOWS)


WAYS: dict[str, Callable[[Any], object]] = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": format,
    "format with a width": lambda s: f"{s:>100}",
    "f-string with !r": lambda s: f"{s!r} {s!s} {s!a}",
    "str.format of an attribute": lambda s: f"{s.__class__} {s.__doc__}",
    "percent": lambda s: "%s %r %a" % (s, s, s),  # noqa: UP031  # the way itself is tested
    "in a list": lambda s: repr([s, (s,), {s: s}, {"k": s}]),
    "pprint": pprint.pformat,
    "reprlib": reprlib.repr,
    "dir": lambda s: repr(dir(s)),
    "json with default": lambda s: json.dumps({"key": s}, default=str),
    "copy": lambda s: repr(copy.copy(s)),
    "deepcopy": lambda s: repr(copy.deepcopy({"deep": [s]})),
    "key": lambda s: repr(Key(s, "environment")),
    "key as a dict": lambda s: repr(dataclasses.asdict(Key(s, "environment"))),
    "slots": lambda s: repr([getattr(s, name, None) for name in type(s).__slots__]),
    "every attribute": lambda s: repr([getattr(s, name) for name in object.__dir__(s) if name != "reveal"]),
    "referents": lambda s: repr(gc.get_referents(s)),
    "bool": lambda s: repr(bool(s)),
    "hash": lambda s: repr(hash(s)),
    "weak reference": lambda s: repr(weakref.ref(s)),
    "the class": lambda s: repr(vars(type(s))),
}
REFUSED: dict[str, Callable[[Any], object]] = {
    "vars": vars,
    "json": json.dumps,
    "bytes": bytes,
    "iteration": list,
    "len": len,
    "item": lambda s: s[0],
    "joined": lambda s: "".join(iter([s])),
    "added": lambda s: "x" + s,
    "set an attribute": lambda s: setattr(s, "text", "x"),
    **{f"pickle {n}": lambda s, n=n: pickle.dumps(s, n) for n in range(pickle.HIGHEST_PROTOCOL + 1)},
    "pickle inside": lambda s: pickle.dumps({"key": Key(s, "x")}),
    "reduce": lambda s: s.__reduce__(),
    "state": lambda s: s.__getstate__()["text"],
}


@pytest.fixture
def secret() -> Secret:
    return Secret(TEXT)


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_showing_it_shows_it(secret: Secret, way: str) -> None:
    """Ordinary notebook use prints, copies and inspects everything."""
    assert not _shows(WAYS[way](secret))


@pytest.mark.parametrize("way", REFUSED)
def test_ways_that_would_have_to_show_it_are_refused_without_showing_it(secret: Secret, way: str) -> None:
    """``%store`` pickles, ``json.dump`` writes: neither may."""
    with pytest.raises((TypeError, AttributeError, KeyError)) as caught:
        REFUSED[way](secret)
    assert not _shows("".join(traceback.format_exception(caught.value)))


def test_it_reveals_itself_when_asked(secret: Secret) -> None:
    """Somebody has to send it."""
    assert TEXT == secret.reveal()
    assert TEXT == copy.deepcopy(secret).reveal()
    assert secret
    assert not Secret("")


def test_two_secrets_do_not_mix_and_a_forgotten_one_is_forgotten() -> None:
    """The texts are kept by identity, which Python uses again."""
    for number in range(2000):
        one, two = Secret(f"one {number}"), Secret(f"two {number}")
        assert (f"one {number}", f"two {number}") == (one.reveal(), two.reveal())
        del one
        assert f"two {number}" == two.reveal()
    from or_magic import secrets

    gc.collect()
    assert not any("one " in text or "two 0" == text for text in secrets._sealed.values())


def test_threads_do_not_mix_secrets() -> None:
    """Each batch worker may make its own."""
    wrong: list[str] = []

    def work(name: str) -> None:
        for number in range(500):
            secret = Secret(f"{name} {number}")
            if secret.reveal() != f"{name} {number}":
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong


def test_a_traceback_with_its_locals_does_not_show_it(secret: Secret) -> None:
    """``%xmode Verbose`` and rich print the locals of every frame."""
    key = Key(secret, "environment")

    def fails(inner: Secret, told: Key) -> None:
        raise RuntimeError(f"{inner} {told}")

    with pytest.raises(RuntimeError) as caught:
        fails(secret, key)
    drawn = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert not _shows("".join(drawn.format()))


def test_logging_does_not_show_it(secret: Secret) -> None:
    """At any level, by any form."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logger = logging.getLogger("or_magic test")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    logger.debug("%s %r %s", secret, secret, {"key": secret})
    logger.removeHandler(handler)
    assert "Secret(set)" in written.getvalue()
    assert not _shows(written.getvalue())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", b""),
        (b"nothing", b"nothing"),
        (b"a KEY b KEY", b"a [key] b [key]"),
        (b"\xff\x00KEY\xff", b"\xff\x00[key]\xff"),
    ],
)
def test_a_gateways_echo_is_redacted(secret: Secret, body: bytes, expected: bytes) -> None:
    """401 and 500 bodies have been seen to repeat what they got."""
    assert expected == secret.redact(body.replace(b"KEY", TEXT.encode()))


def test_an_empty_secret_redacts_nothing() -> None:
    """Replacing the empty text would write a mark between all bytes."""
    assert b"ab" == Secret("").redact(b"ab")


@pytest.mark.parametrize(
    ("environ", "dotenv", "source"),
    [
        ({"OPENROUTER_API_KEY": TEXT}, {"OPENROUTER_API_KEY": "other"}, "environment"),
        ({}, {"OPENROUTER_API_KEY": TEXT}, ".env"),
        ({"OPENROUTER_API_KEY": ""}, {"OPENROUTER_API_KEY": f"  {TEXT}\n"}, ".env"),
        ({"OPENROUTER_API_KEY": " \t"}, {"OPENROUTER_API_KEY": TEXT}, ".env"),
        ({"OPENAI_API_KEY": TEXT}, {}, None),
        ({}, {"OPENROUTER_API_KEY": "  "}, None),
        ({}, {}, None),
    ],
)
def test_a_key_is_looked_for_in_one_order(
    environ: Mapping[str, str], dotenv: Mapping[str, str], source: str | None
) -> None:
    """The environment wins; blank is none; another service's key is never sent."""
    key = find_key(environ, dotenv)
    assert source == (key.source if key else None)
    if key is not None:
        assert TEXT == key.secret.reveal()


@pytest.mark.parametrize("odd", ["é", "\n", "\x1b", "\u200b", "\ufeff", "\x00", "\x7f", "　"])
def test_a_key_that_cannot_be_a_header_is_named_without_being_shown(odd: str) -> None:
    """A line break in a header is an injection; a non-ASCII key makes the SDK fail with the key in its message."""
    with pytest.raises(SettingsError) as caught:
        seal(TEXT[:30] + odd + TEXT[30:], "environment")
    assert isinstance(caught.value, OrMagicError)
    assert "environment" in str(caught.value)
    assert "Nothing was sent." in str(caught.value)
    assert not _shows(str(caught.value))
    assert not _shows(repr(caught.value))
    assert not _shows("\n".join(caught.value._render_traceback_()))
    assert not _shows("".join(traceback.format_exception(caught.value)))


def test_a_refused_key_is_in_no_frame_of_its_error() -> None:
    """Rich and ``%xmode Verbose`` print the locals of our frame too; the mistyped key is still the key."""
    with pytest.raises(SettingsError) as caught:
        seal(TEXT + "é", "environment")
    ours = traceback.TracebackException(
        type(caught.value),
        caught.value,
        caught.value.__traceback__.tb_next,
        capture_locals=True,
    )
    assert not _shows("".join(ours.format()))


def test_a_strange_prefix_is_odd_and_nothing_more() -> None:
    """The prefix is not promised: warn, never refuse."""
    assert not seal(TEXT, "environment").looks_odd()
    assert seal("abc", "environment").looks_odd()
