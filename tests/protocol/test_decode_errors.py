"""Decoding errors: whatever broke, the words and the money that came are kept, and nothing broken is complete."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from or_magic.errors import (
    CallError,
    ForbiddenError,
    PaymentError,
    ProtocolError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    UnknownModelError,
)

from .streams import read, read_whole, say, sse, usage

COST = Decimal("0.00001234567890123")


def _meter(cost: str = "0.5", **more: Any) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "cost": float(cost)} | more}


def _error(code: object = 502, message: str = "it fell over", **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message} | more}


@pytest.mark.parametrize("code", [502, 400, 429, "server_error", "502", None, 0, 1.5, {"a": 1}, [1]], ids=repr)
@pytest.mark.parametrize("finish", ["error", None, "stop"])
def test_an_error_after_the_first_word_is_an_error_with_the_words_kept(code: object, finish: str | None) -> None:
    """Codes are numbers, names or missing; the presence of ``error`` decides, not the finish reason."""
    told = read(sse(say("some"), say("", finish=finish) | _error(code)))
    assert ("error", "some") == (told.closed.status, told.reply.text)
    assert isinstance(told.closed.error, ProviderError)
    assert "it fell over" in str(told.closed.error)
    assert "nothing was billed" not in str(told.closed.error)


def test_an_error_without_any_code_is_an_error() -> None:
    """Availability errors have none."""
    told = read(sse(say("some"), {"error": {"message": "gone"}}))
    assert ("error", None) == (told.closed.status, told.closed.error.status_code)


def test_an_error_inside_a_choice_is_an_error() -> None:
    """The openai SDK takes it for a success."""
    chunk = say("", finish="stop")
    chunk["choices"][0]["error"] = {"code": 502, "message": "inside"}
    told = read(sse(say("some"), chunk))
    assert "error" == told.closed.status
    assert "inside" in str(told.closed.error)


def test_an_error_chunk_keeps_its_usage() -> None:
    """The openai SDK loses the rest of that chunk; it is the only one with the money."""
    told = read(sse(say("some"), say("", finish=None) | _error() | _meter()))
    assert ("error", Decimal("0.5")) == (told.closed.status, told.reply.cost_usd)


def test_usage_after_an_error_is_still_read() -> None:
    """A failed answer costs as well."""
    told = read(sse(say("some"), _error(), say("") | _meter()))
    assert ("error", Decimal("0.5")) == (told.closed.status, told.reply.cost_usd)


def test_the_first_error_is_the_one_that_is_told() -> None:
    """What follows is its consequence."""
    told = read(sse(say("some"), _error(message="first"), _error(message="second")))
    assert "first" in str(told.closed.error)


@pytest.mark.parametrize("error", ["boom", 7, ["boom"], True, {"message": None}, {"code": None}, {"metadata": 7}])
def test_an_error_of_any_shape_is_an_error(error: object) -> None:
    """Its presence decides."""
    told = read(sse(say("some", finish="stop"), {"error": error}))
    assert "error" == told.closed.status
    assert isinstance(told.closed.error, CallError)


def test_a_null_error_is_none() -> None:
    """Some servers send the field always."""
    assert "ok" == read(sse(say("some", finish="stop") | {"error": None})).closed.status


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (402, PaymentError),
        (403, ForbiddenError),
        (404, UnknownModelError),
        (429, RateLimitedError),
        (400, RefusedError),
    ],
)
def test_a_refusal_inside_http_200_is_a_refusal(code: int, kind: type[CallError]) -> None:
    """Nothing ran, in a stream as in a whole answer."""
    for told in (read(sse(_error(code))), read_whole(_error(code))):
        assert "refused" == told.closed.status
        assert kind is type(told.closed.error)
        assert "Nothing ran and nothing was billed." in str(told.closed.error)


def test_a_refusal_that_was_billed_is_not_called_free() -> None:
    """The code says refused, the usage says money: the money is right."""
    for told in (
        read(sse(_error(429) | _meter())),
        read(sse(_error(429), say("") | _meter())),
        read_whole(_error(429) | _meter()),
    ):
        assert Decimal("0.5") == told.reply.cost_usd
        assert "error" == told.closed.status
        assert "nothing was billed" not in str(told.closed.error)


def test_a_server_error_inside_http_200_is_an_error() -> None:
    """The provider failed before the first word."""
    for told in (read(sse(_error(502))), read_whole(_error(502))):
        assert "error" == told.closed.status
        assert isinstance(told.closed.error, ProviderError)


def test_html_instead_of_an_answer_is_not_the_protocol() -> None:
    """A proxy or an edge answered, with status 200."""
    page = b"<!DOCTYPE html><html><head><title>Welcome to\nnginx</title></head></html>"
    told = read_whole(page)
    assert "error" == told.closed.status
    assert isinstance(told.closed.error, ProtocolError)
    assert "Welcome to nginx" in str(told.closed.error)
    assert "ok" != read(page + b"\n\n").closed.status


@pytest.mark.parametrize(
    "body", [b"", b"   ", b"null", b"[]", b'"hi"', b"7", b"{}", b'{"choices": null}', b'{"choices": 7}', b"\xff\xfe"]
)
def test_a_whole_answer_without_choices_is_never_complete(body: bytes) -> None:
    """HTTP 200 promises nothing."""
    told = read_whole(body)
    assert told.closed.status in ("error", "partial")
    assert told.closed.error is not None


def test_leading_blanks_before_a_whole_answer_do_no_harm() -> None:
    """Reported of old as keep-alive of long answers."""
    body = {"choices": [{"finish_reason": "stop", "message": {"content": "hi"}}]}
    assert "ok" == read_whole(b"  \n\n " + json.dumps(body).encode()).closed.status


@pytest.mark.parametrize(
    "payload", [b"{", b"null", b"[]", b"7", b'"text"', b"{}}", b'{"a":' * 250, b"\xff", b"undefined"], ids=repr
)
def test_a_chunk_that_cannot_be_read_is_an_error_and_reading_goes_on(payload: bytes) -> None:
    """The text has a hole, but the usage may still come."""
    told = read(sse(say("a"), b"data: " + payload + b"\n\n", say("b", finish="stop"), usage()))
    assert "error" == told.closed.status
    assert isinstance(told.closed.error, ProtocolError)
    assert ("ab", COST) == (told.reply.text, told.reply.cost_usd)


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    """As the standard of event streams says; the rest of the answer is whole."""
    raw = sse(say("a@b", finish="stop")).replace(b"a@b", b"a\xffb")
    told = read(raw)
    assert ("ok", "a\ufffdb") == (told.closed.status, told.reply.text)
