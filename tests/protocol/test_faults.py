"""Faults: every status and body becomes one exception that says what happened, what was billed and what to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from or_magic.errors import (
    CallError,
    ForbiddenError,
    KeyRefusedError,
    OrMagicError,
    PaymentError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    UnknownModelError,
)
from or_magic.protocol.faults import fault_of_error, fault_of_response, not_the_protocol

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
FREE = "Nothing ran and nothing was billed."
UNKNOWN = "What it cost is not known yet."


def _fault(status: int, error: object = None, headers: dict[str, str] | None = None) -> CallError:
    told = {"code": status, "message": "it did not work."} if error is None else error
    return fault_of_response(status, headers or {}, json.dumps({"error": told, "user_id": "u"}).encode(), NOW)


CODES: dict[int, tuple[type[CallError], str, str]] = {
    400: (RefusedError, FREE, "Correct the request"),
    401: (KeyRefusedError, FREE, "Check the key"),
    402: (PaymentError, FREE, "Add credits"),
    403: (ForbiddenError, FREE, "privacy and moderation"),
    404: (UnknownModelError, FREE, "Check the model's name"),
    408: (RefusedError, FREE, "run it again"),
    409: (RefusedError, FREE, ""),
    410: (RefusedError, FREE, ""),
    412: (RefusedError, FREE, ""),
    413: (RefusedError, FREE, "smaller"),
    422: (RefusedError, FREE, ""),
    425: (RefusedError, FREE, ""),
    429: (RateLimitedError, FREE, "Wait"),
    499: (RefusedError, FREE, ""),
    500: (ProviderError, UNKNOWN, "Run it again"),
    502: (ProviderError, UNKNOWN, "choose another model"),
    503: (ProviderError, UNKNOWN, "choose another model"),
    504: (ProviderError, UNKNOWN, "Run it again"),
    520: (ProviderError, UNKNOWN, "Run it again"),
    524: (ProviderError, UNKNOWN, "Run it again"),
    529: (ProviderError, UNKNOWN, "choose another model"),
}


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_its_class_and_its_three_sentences(code: int) -> None:
    """WIRE §7, with the codes of edges and proxies."""
    kind, billed, advice = CODES[code]
    fault = _fault(code)
    assert kind is type(fault)
    assert code == fault.status_code
    assert f"it did not work ({code})." == fault.happened
    assert billed == fault.billed
    assert advice in fault.advice
    assert f"{fault.happened} {fault.billed} {fault.advice}" == str(fault)
    assert f"{kind.__name__} {code}" == fault.label


@pytest.mark.parametrize("code", [*CODES, 200, 204])
def test_a_status_without_an_error_object_has_the_class_of_its_code(code: int) -> None:
    """An edge answers with HTML, or with nothing."""
    for body in (
        b"",
        b"<html><title>Bad\n  Gateway</title>",
        b"\x1f\x8b\x00",
        b"{}",
        b"[]",
        b"null",
        b'{"error": null}',
        b'{"error": 7}',
    ):
        fault = fault_of_response(code, {}, body, NOW)
        assert CODES.get(code, (ProviderError,))[0] is type(fault)
        assert code == fault.status_code
        assert str(fault).isprintable()
        assert str(code) in str(fault)


def test_the_title_of_a_page_is_told_not_its_markup() -> None:
    """Cloudflare's pages are long."""
    page = (
        b"<!DOCTYPE html>"
        + b"<meta>" * 50
        + b"<TITLE>\n openrouter.ai |  524: A timeout occurred\n</TITLE>"
        + b"x" * 10**6
    )
    fault = fault_of_response(524, {}, page, NOW)
    assert "openrouter.ai | 524: A timeout occurred" in str(fault)
    assert "<" not in str(fault)
    assert len(str(fault)) < 400


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(code: int) -> None:
    """The key stays with its host."""
    fault = fault_of_response(code, {"location": "https://evil.example/\x1b[2Jx"}, b"", NOW)
    assert isinstance(fault, RefusedError)
    assert "https://evil.example/" in str(fault)
    assert str(fault).isprintable()
    assert "base URL" in fault.advice
    assert "nowhere" in str(fault_of_response(code, {}, b"", NOW))


def test_an_availability_error_without_code_is_read() -> None:
    """WIRE §7: its examples carry ``http_status`` and ``error_type`` and no ``code``."""
    availability = {
        "code": "model_deprecated",
        "retryable": False,
        "fallback_models": ["a/b", "c/d"],
        "docs_url": "https://x",
    }
    error = {"message": "Gone.", "error_type": "not_found", "http_status": 404, "availability": availability}
    fault = fault_of_error(error)
    assert isinstance(fault, UnknownModelError)
    assert (404, "not_found") == (fault.status_code, fault.error_type)
    assert "The gateway suggests a/b, c/d." in fault.advice
    assert "Gone (404)." == fault.happened
    assert isinstance(_fault(404, error), UnknownModelError)


@pytest.mark.parametrize("fallbacks", [None, [], "a/b", 7, {"a": 1}, True])
def test_fallback_models_that_are_no_list_are_not_told(fallbacks: object) -> None:
    """``a, /, b`` would be nonsense."""
    assert "suggests" not in fault_of_error({"message": "x", "availability": {"fallback_models": fallbacks}}).advice


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("slow down", "slow down"),
        ('{"error": {"message": "quota of the key"}}', "quota of the key"),
        ('{"message": "plain"}', "plain"),
        ({"error": {"message": "an object"}}, "an object"),
        ('{"detail": "other"}', '{"detail": "other"}'),
        ('{"error": "words"}', "words"),
        ('{"error": {"message": null, "type": "t"}}', "t"),
        (["a", "b"], "b"),
        (7, "7"),
        ("{broken", "{broken"),
    ],
    ids=repr,
)
def test_the_providers_own_words_are_shown(raw: object, words: str) -> None:
    """``Provider returned error`` alone says nothing; raw may be text, JSON, or JSON inside text."""
    error = {"code": 502, "message": "Provider returned error", "metadata": {"provider_name": "DeepInfra", "raw": raw}}
    for fault in (_fault(502, error), fault_of_error(error, began=True)):
        assert "DeepInfra: Provider returned error: " in str(fault)
        assert words in str(fault)


def test_words_of_any_depth_do_no_harm() -> None:
    """At the edge of what Python can nest, reading may succeed and writing fail."""
    for depth in [*range(180, 210), *range(900, 1010), 100_000]:
        for start, end in (("[", "]"), ('{"a":', "}")):
            raw = start * depth + "1" + end * depth
            error = {"code": 502, "message": "x", "metadata": {"raw": raw}}
            assert isinstance(fault_of_error(error), ProviderError)
            body = b'{"error": ' + raw.encode() + b"}"
            assert isinstance(fault_of_response(502, {}, body, NOW), ProviderError)


def test_reasons_of_moderation_are_told() -> None:
    """WIRE §7: 403 with metadata.reasons."""
    metadata = {
        "reasons": ["violence", "self-harm"],
        "flagged_input": "…",
        "provider_name": "OpenAI",
        "model_slug": "m",
    }
    fault = _fault(403, {"code": 403, "message": "flagged", "metadata": metadata})
    assert isinstance(fault, ForbiddenError)
    assert "flagged [violence, self-harm] (403)." in str(fault)


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        (
            "Requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 1234.",
            1234,
        ),
        ("can only afford 0", 0),
        ("Insufficient credits", None),
        ("can only afford -5", None),
        ("can only afford " + "9" * 400, None),
        (None, None),
    ],
    ids=lambda value: str(value)[:24],
)
def test_the_tokens_one_can_afford_are_read(message: str | None, tokens: int | None) -> None:
    """The one number that helps."""
    fault = _fault(402, {"code": 402, "message": message})
    assert isinstance(fault, PaymentError)
    if tokens is None and message and "9" in message:
        assert fault.affordable_tokens is None or fault.affordable_tokens < 10**9
    else:
        assert tokens == fault.affordable_tokens


@pytest.mark.parametrize(
    "message", ["foo/bar is not a valid model ID", "No models match: foo/bar is not a valid model ID."]
)
def test_an_unknown_model_is_known_as_such_with_400_too(message: str) -> None:
    """It was 404 before mid-2026 and is 400 since."""
    assert isinstance(_fault(400, {"code": 400, "message": message}), UnknownModelError)
    assert type(_fault(400, {"code": 400, "message": "context too long"})) is RefusedError


HOSTILE = "bad\x1b[31m\x1b]0;owned\x07\r\n\t\0\u202e\u2028\x9b5A\ud800" + "x" * 5000
PLACES: list[Any] = [
    {"code": 502, "message": HOSTILE},
    {"code": HOSTILE, "message": "x"},
    {
        "code": 502,
        "message": "x",
        "metadata": {"provider_name": HOSTILE, "raw": HOSTILE, "reasons": [HOSTILE], "error_type": HOSTILE},
    },
    {"code": 502, "message": "x", "availability": {"fallback_models": [HOSTILE, 7, None]}},
    {"code": 502, "message": {"a": HOSTILE}},
    {"code": 502, "message": "x", "metadata": {"raw": json.dumps({"error": {"message": HOSTILE}})}},
    HOSTILE,
    [HOSTILE],
]


@pytest.mark.parametrize("error", PLACES, ids=range(len(PLACES)))
def test_no_word_of_a_gateway_can_write_on_the_terminal_or_bury_the_advice(error: object) -> None:
    """Escapes, bidi marks, line breaks and megabytes are not printed."""
    for fault in (fault_of_error(error), fault_of_error(error, began=True), _fault(502, error)):
        assert str(fault).isprintable()
        assert len(str(fault)) < 1400
        assert fault.label.isprintable()
        assert all(line.isprintable() for line in fault._render_traceback_())
        assert fault.advice in str(fault)
    assert str(not_the_protocol("What came is not an answer", HOSTILE.encode("utf-8", "replace"))).isprintable()
    page = b"<title>" + HOSTILE.encode("utf-8", "replace") + b"</title>"
    assert str(fault_of_response(502, {}, page, NOW)).isprintable()


def test_an_error_after_words_had_come_is_never_a_refusal() -> None:
    """Something ran, and it may be billed, whatever the code says."""
    for code in (400, 401, 402, 403, 404, 429):
        fault = fault_of_error({"code": code, "message": "x"}, began=True)
        assert type(fault) is ProviderError
        assert UNKNOWN in str(fault)


@pytest.mark.parametrize(
    "error",
    [
        None,
        "",
        "boom",
        7,
        [],
        {},
        {"message": None},
        {"message": ""},
        {"code": None},
        {"metadata": None},
        {"metadata": []},
    ],
    ids=repr,
)
def test_an_error_of_any_shape_gives_a_sentence(error: object) -> None:
    """Nobody should read ``None``."""
    fault = fault_of_error(error)
    assert isinstance(fault, ProviderError)
    assert str(fault).endswith(".")
    assert not str(fault).startswith((" ", ".", ":"))


def test_error_type_and_body_are_kept_for_those_who_look() -> None:
    """The stable discriminator, old place and new."""
    inner = {"code": 400, "message": "x", "metadata": {"error_type": "context_length_exceeded"}}
    fault = _fault(400, inner)
    assert ("context_length_exceeded", inner) == (fault.error_type, fault.body)
    assert "server" == fault_of_error({"message": "x", "error_type": "server"}).error_type
    assert _fault(400).error_type is None


def test_every_exception_is_of_the_one_family() -> None:
    """``except OrMagicError`` catches all of them, and draws in one line."""
    for code in CODES:
        fault = _fault(code)
        assert isinstance(fault, OrMagicError)
        assert f"{type(fault).__name__}: {fault}" == " ".join(fault._render_traceback_())
