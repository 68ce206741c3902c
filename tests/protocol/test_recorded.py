"""Every recorded chat completion decodes to the words, thoughts, tools, figures and money that it holds.

Expected values come from two sides: a naive reader of the same bytes (``oracle.py``), and a table written by hand, so
that a mistake of the naive reader is noticed. Not covered, because or_magic does not speak them: the recordings of
POST /responses (``llm-*.sse``, ``pai-responses-stream.sse``), another endpoint with other events; and the catalogues
(``models-*.json``, ``llm-reasoning.1.json``), which are the gateway's tests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from or_magic.content import Citation, Image, ParsedFile, Reasoning, join
from or_magic.content.reasoning import read_details
from or_magic.errors import ProviderError, RateLimitedError
from or_magic.events import Metered, Notice, Opened
from or_magic.protocol.faults import fault_of_response

from .oracle import Naive, naive, naive_whole
from .streams import Told, read, read_whole, recordings

# file: (start of the text, cost as written, finish reason, name of the first tool, model), by hand.
TABLE: dict[str, tuple[str, str | None, str | None, str | None, str]] = {
    "chatlas-data-extraction.1.json": ('{"title":"Apples', "0.00002325", "stop", None, "openai/gpt-4o-mini-2024-07-18"),
    "chatlas-data-extraction.2.json": ('{"title":"Apples', "0.000033", "stop", None, "openai/gpt-4o-mini-2024-07-18"),
    "chatlas-data-extraction.3.json": ('{"name":"Ella', "0.0000336", "stop", None, "openai/gpt-4o-mini-2024-07-18"),
    "chatlas-data-extraction.4.sse": ("The name of", "0.00003015", "stop", None, "openai/gpt-4o-mini-2024-07-18"),
    "chatlas-simple-streaming-request.sse": ("2", "0.00000465", "stop", None, "openai/gpt-4o-mini-2024-07-18"),
    "chatlas-tool-variations.1.sse": ("", "0.00001545", "tool_calls", "get_date", "openai/gpt-4o-mini-2024-07-18"),
    "chatlas-tool-variations.2.sse": ("It is 2024-01-01.", "0.00002085", "stop", None, "openai/gpt-4o-mini-2024-07-18"),
    "chatlas-tool-variations.3.sse": ("", "0.00002445", "tool_calls", "get_date", "openai/gpt-4o-mini-2024-07-18"),
    "chatlas-tool-variations.4.sse": ("It is January.", "0.00002625", "stop", None, "openai/gpt-4o-mini-2024-07-18"),
    "litellm-claude-reasoning.json": ("Hello! Nice to", "0.001329", "stop", None, "anthropic/claude-sonnet-4"),
    "litellm-gemini-image.abridged.json": ("", "0.06721", "stop", None, "google/gemini-3.1-flash-image"),
    "magentic-complete-function-call-openai-strict.sse": (
        "",
        "0.00016632",
        "tool_calls",
        "plus",
        "deepseek/deepseek-chat-v3-0324",
    ),
    "magentic-complete-image-bytes.sse": ("Python", "0.00001882", "stop", None, "qwen/qwen3-vl-8b-instruct"),
    "magentic-complete-streamed-response.sse": (
        "My favorite city is Kyoto",
        "0.00016401",
        "tool_calls",
        "get_weather",
        "deepseek/deepseek-chat-v3-0324",
    ),
    "magentic-complete-usage-structured-output.sse": (
        "",
        "0.00015631",
        "tool_calls",
        "return_list_of_int",
        "deepseek/deepseek-chat-v3-0324",
    ),
    "magentic-reasoning-tokens.sse": ("Sure! Here's a catchy", "0.0021773", "stop", None, "deepseek/deepseek-r1"),
    "pai-advisor-tool-stream.sse": ("I recommend naming", "0.0145476", "stop", None, "openai/gpt-4o-mini"),
    "pai-cache-anthropic.1.json": (
        "# Architectural Patterns",
        "0.01355025",
        "length",
        None,
        "anthropic/claude-4.6-sonnet-20260217",
    ),
    "pai-cache-anthropic.2.json": (
        "Distributed database",
        "0.00219855",
        "stop",
        None,
        "anthropic/claude-4.6-sonnet-20260217",
    ),
    "pai-cache-streaming.sse": ("Hello!", "0.000837", "stop", None, "anthropic/claude-4.6-sonnet-20260217"),
    "pai-document-url-no-force-download.json": ("The main content", "0.000086", "stop", None, "openai/gpt-4.1-mini"),
    "pai-file-annotation.json": ("The PDF appears to be", "0.00216775", "stop", None, "openai/gpt-5.1-codex-mini"),
    "pai-preserve-reasoning-block.1.json": ("Hello! How can I", None, "stop", None, "openai/gpt-5-mini"),
    "pai-preserve-reasoning-block.2.json": ("Short answer: Very", None, "stop", None, "openai/gpt-5-mini"),
    "pai-stream-error.sse": ("", "0", "length", None, "minimax/minimax-m2:free"),
    "pai-stream-with-native-options.sse": ("I'm Grok, an AI", "0.00333825", "stop", None, "x-ai/grok-4"),
    "pai-stream-with-reasoning.sse": ("I’m ChatGPT, a large", "0.00085", "stop", None, "openai/o3"),
    "pai-streaming-reasoning.sse": ("2 + 2 = 4", "0.000669", "stop", None, "anthropic/claude-sonnet-4.5"),
    "pai-thinking-false-supports-thinking-model.json": (
        "ok",
        "0.000102",
        "stop",
        None,
        "anthropic/claude-4.5-sonnet-20250929",
    ),
    "pai-thinking-high-emits-effort-high.json": (
        "ok",
        "0.000924",
        "stop",
        None,
        "anthropic/claude-4.5-sonnet-20250929",
    ),
    "pai-tool-calling.json": ("", None, "tool_calls", "divide", "mistralai/mistral-small"),
    "pai-usage.1.json": ("Brief summary\n- Venus", None, "stop", None, "openai/gpt-5-mini"),
    "pai-usage.2.json": ("Here’s a concise", "0.00435825", "stop", None, "openai/gpt-5-mini"),
    "pai-video-url-public-api.json": (
        "This video features a giant",
        "0.00045",
        "stop",
        None,
        "google/gemini-2.5-flash",
    ),
    "pai-web-search-annotations.json": ("https://github.com", "0.007637029", "stop", None, "deepseek/deepseek-chat"),
    "pai-web-search-annotations-stream.sse": (
        "The URL for Pydantic",
        "0.0076509169000000005",
        "stop",
        None,
        "deepseek/deepseek-chat",
    ),
    "pai-web-search-tool-usage.json": ("https://github.com", "0.0133176", "stop", None, "openai/gpt-4.1-mini"),
    "pai-web-search-tool-usage-stream.sse": ("https://github.com", "0.0133176", "stop", None, "openai/gpt-4.1-mini"),
    "pai-with-preset.json": ("Why did the train break", None, "stop", None, "google/gemini-2.5-flash-lite"),
}
ERROR_BODY = "pai-errors-raised.1.json"  # HTTP 429: no answer, its own test below
ARGUMENTS = {
    "chatlas-tool-variations.1.sse": {},
    "chatlas-tool-variations.3.sse": {},
    "magentic-complete-function-call-openai-strict.sse": {"a": 1, "b": 2},
    "magentic-complete-streamed-response.sse": {"location": "Kyoto, Japan"},
    "magentic-complete-usage-structured-output.sse": {"value": [1, 2, 3, 4, 5]},
    "pai-tool-calling.json": {"numerator": 123, "denominator": 456, "on_inf": "infinity"},
}


def _both(shared: Path, name: str) -> tuple[Told, Naive]:
    raw = (shared / "openrouter/recorded" / name).read_bytes()
    return (read(raw), naive(raw)) if name.endswith(".sse") else (read_whole(raw), naive_whole(raw))


def test_every_recorded_chat_completion_is_in_the_table(shared: Path) -> None:
    """A recording that is added has to be looked at by hand."""
    assert {*TABLE, ERROR_BODY} == {item["file"] for item in recordings(shared)}


@pytest.mark.parametrize("name", TABLE)
def test_a_recording_says_what_the_table_says(shared: Path, name: str) -> None:
    """Written by hand, so that decoder and oracle cannot be wrong together."""
    told, _ = _both(shared, name)
    start, cost, reason, tool, model = TABLE[name]
    reply = told.reply
    assert start == reply.text[: len(start)]
    assert (start == "") == (reply.text == "")
    assert (None if cost is None else Decimal(cost)) == reply.cost_usd
    assert (reason, model) == (reply.finish_reason, reply.model)
    assert ([] if tool is None else [tool]) == [call.name for call in reply.tool_calls]
    assert ([ARGUMENTS[name]] if tool else []) == [call.parsed() for call in reply.tool_calls]
    assert ("error" if name == "pai-stream-error.sse" else "ok") == reply.status


@pytest.mark.parametrize("name", TABLE)
def test_a_recording_says_what_the_naive_reader_says(shared: Path, name: str) -> None:
    """Nothing is lost, repeated or changed."""
    told, plain = _both(shared, name)
    reply = told.reply
    assert plain.text == reply.text
    assert plain.reasoning == reply.reasoning
    assert [(call["id"], call["name"], call["arguments"]) for call in plain.tools] == [
        (call.id, call.name, call.arguments) for call in reply.tool_calls
    ]
    assert plain.citations == [citation.url for citation in reply.citations]
    assert plain.files == [part.annotation for part in reply.parts if isinstance(part, ParsedFile)]
    assert plain.images == [image.to_json()["image_url"]["url"] for image in reply.images.parts]
    assert (plain.id, plain.model, plain.provider) == (reply.id, reply.model, reply.provider)
    assert plain.finish == reply.finish_reason
    assert plain.comments == sum(isinstance(event, Notice) for event in told.events)
    assert not plain.broken


@pytest.mark.parametrize("name", TABLE)
def test_a_recording_tells_its_figures_and_its_money_exactly(shared: Path, name: str) -> None:
    """Tokens are read by others as money; None stays apart from 0."""
    told, plain = _both(shared, name)
    usage = told.reply.usage
    assert usage is not None
    assert [usage] == [event.usage for event in told.events if isinstance(event, Metered)]
    prompt, completion = (plain.usage.get(f"{side}_tokens_details", {}) for side in ("prompt", "completion"))
    expected = {
        "prompt_tokens": plain.usage["prompt_tokens"],
        "completion_tokens": plain.usage["completion_tokens"],
        "total_tokens": plain.usage["total_tokens"],
        "reasoning_tokens": completion.get("reasoning_tokens"),
        "cached_tokens": prompt.get("cached_tokens"),
        "cache_write_tokens": prompt.get("cache_write_tokens"),
        "cost_usd": plain.usage.get("cost"),
        "upstream_usd": plain.usage.get("cost_details", {}).get("upstream_inference_cost"),
    }
    assert expected == {name: getattr(usage, name) for name in expected}
    assert str(plain.usage.get("cost")) == str(usage.cost_usd)


@pytest.mark.parametrize("name", TABLE)
def test_a_recording_opens_once_and_first(shared: Path, name: str) -> None:
    """The generation id is known before anything can go wrong."""
    told, plain = _both(shared, name)
    opened = [event for event in told.events if isinstance(event, Opened)]
    assert [Opened(plain.id)] == opened
    assert opened[0] == next(event for event in told.events if not isinstance(event, Notice))


def _canonical(details: object) -> str:
    return json.dumps(details, ensure_ascii=False, default=str)


@pytest.mark.parametrize("name", TABLE)
def test_reasoning_details_are_merged_byte_for_byte_and_in_order(shared: Path, name: str) -> None:
    """A signature is made over these bytes: a changed one is refused when it goes back."""
    told, plain = _both(shared, name)
    parts = [part for part in told.reply.parts if isinstance(part, Reasoning)]
    details = [detail for part in parts for detail in part.details]
    assert [{key: item[key] for key in sorted(item)} for item in plain.details] == [
        {key: item[key] for key in sorted(item)} for item in details
    ]
    assert sorted(_canonical(plain.details)) == sorted(_canonical(details))


def test_the_recorded_signature_that_came_alone_and_last_is_kept(shared: Path) -> None:
    """Its piece has no text, and the first piece has an empty signature."""
    told, _ = _both(shared, "pai-streaming-reasoning.sse")
    (part,) = [part for part in told.reply.parts if isinstance(part, Reasoning)]
    (detail,) = part.details
    assert "This is a simple arithmetic question. 2+2 equals 4." == detail["text"] == part.text
    assert detail["signature"].startswith("Et0BCkgIChAC")


def test_a_summary_and_its_encrypted_twin_of_the_same_index_stay_apart(shared: Path) -> None:
    """The model needs both; they differ in type alone."""
    told, _ = _both(shared, "pai-preserve-reasoning-block.2.json")
    (part,) = [part for part in told.reply.parts if isinstance(part, Reasoning)]
    assert ["reasoning.summary", "reasoning.encrypted"] == [detail["type"] for detail in part.details]
    assert [0, 0] == [detail["index"] for detail in part.details]


def test_whole_details_cut_into_pieces_are_merged_to_the_whole_again(shared: Path) -> None:
    """The recorded whole answers, streamed as other servers would have streamed them."""
    for name in ("pai-preserve-reasoning-block.2.json", "pai-file-annotation.json", "litellm-claude-reasoning.json"):
        _, plain = _both(shared, name)
        pieces = [piece for detail in plain.details for piece in _pieces(detail)]
        (part,) = join([reasoning for piece in pieces for reasoning in read_details([piece])])
        assert isinstance(part, Reasoning)
        assert plain.details == [dict(detail) for detail in part.details]


def _pieces(detail: Mapping[str, Any]) -> list[dict[str, Any]]:
    grows = next((key for key in ("text", "summary") if key in detail), None)
    if grows is None:
        return [dict(detail)]
    fixed = {key: detail[key] for key in ("type", "index", "format") if key in detail}
    words = detail[grows]
    pieces = [fixed | {grows: words[start : start + 7]} for start in range(0, len(words), 7)]
    return [*pieces, fixed | {key: detail[key] for key in detail if key not in (*fixed, grows)}]


def test_the_recorded_picture_is_whole(shared: Path) -> None:
    """Bytes, not a link."""
    told, _ = _both(shared, "litellm-gemini-image.abridged.json")
    (image,) = told.reply.images.parts
    assert isinstance(image, Image)
    assert "image/png" == image.media_type
    assert image.data is not None
    assert image.data.startswith(b"\x89PNG\r\n\x1a\n")


def test_recorded_citations_carry_title_and_content(shared: Path) -> None:
    """They are told early, in several deltas."""
    told, _ = _both(shared, "pai-web-search-annotations-stream.sse")
    titles = [citation.title for citation in told.reply.citations]
    assert ["AI Agent Framework, the Pydantic way - GitHub", "", "v2.0.0 (2026-06-23)"] == titles[:3]
    assert 5 == len(titles)
    assert all(isinstance(citation, Citation) and citation.content for citation in told.reply.citations)


def test_the_recorded_error_in_a_stream_keeps_thoughts_usage_and_reason(shared: Path) -> None:
    """An error decides, whatever the finish reason says; what came is kept."""
    told, _ = _both(shared, "pai-stream-error.sse")
    assert isinstance(told.closed.error, ProviderError)
    assert "Token limit reached" in str(told.closed.error)
    assert 400 == told.closed.error.status_code
    assert Decimal(0) == told.reply.cost_usd
    assert "We need to respond to a greeting. The user" == told.reply.reasoning


def test_the_recorded_refusal_names_the_provider_and_its_words(shared: Path) -> None:
    """``Provider returned error`` alone says nothing."""
    body = (shared / "openrouter/recorded" / ERROR_BODY).read_bytes()
    fault = fault_of_response(429, {}, body, datetime(2026, 1, 1, tzinfo=UTC))
    assert isinstance(fault, RateLimitedError)
    assert str(fault).startswith("Google: Provider returned error: google/gemini-2.0-flash-exp:free is temporarily")
    assert "Nothing ran and nothing was billed." in str(fault)


def test_another_endpoints_stream_is_never_taken_for_a_complete_answer(shared: Path) -> None:
    """The recordings of POST /responses: valid events, no choices, no finish reason."""
    for name in ("llm-prompt.2.sse", "llm-tool-calls.3.sse", "pai-responses-stream.sse"):
        told = read((shared / "openrouter/recorded" / name).read_bytes())
        assert "ok" != told.closed.status
        assert "" == told.reply.text
