"""How far estimates of prompt tokens are off, on the recorded calls: ours, ours calibrated, and letters / 4.

Left out are calls whose prompt is not what was sent: web searches, advisors, presets, attachments that the recorder
cut. Calibration is held out: each call is estimated with what the other calls of its model said.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import _common as common

from or_magic.content import Part, Text, ToolCall, ToolResult
from or_magic.estimate import Calibration, Range, calibrate, estimate, estimate_tokens
from or_magic.estimate.text import text_tokens
from or_magic.values import Message, Request

RECORDED = common.ROOT.parent / "shared" / "openrouter" / "recorded"


class Call(NamedTuple):
    name: str
    request: Request
    letters: int
    counted: int


def calls() -> Iterator[Call]:
    """Yield the recorded calls whose prompt is all there."""
    for item in json.loads((RECORDED / "index.json").read_bytes()):
        asked = RECORDED / str(item.get("request"))
        if str(item.get("uri", "")).endswith("/chat/completions") and asked.is_file():
            body, counted = json.loads(asked.read_bytes()), _counted(RECORDED / item["file"])
            if counted and not _adds(body) and (messages := _messages(body)) is not None:
                params = {key: value for key, value in body.items() if key not in ("model", "messages", "stream")}
                letters = sum(len(part.text) for m in messages for part in m.parts if isinstance(part, Text))
                letters += len(json.dumps(params["tools"])) if "tools" in params else 0
                yield Call(item["file"], Request(body["model"], messages, params), letters, counted)


def _adds(body: dict[str, Any]) -> bool:
    return "preset" in body or "models" in body or '"openrouter:' in json.dumps(body)


def _counted(path: Path) -> int | None:
    found = None
    for line in path.read_text(encoding="utf-8").splitlines() if path.suffix == ".sse" else [path.read_text("utf-8")]:
        data = line.removeprefix("data: ")
        if '"usage"' in data and isinstance(usage := json.loads(data).get("usage"), dict):
            found = usage.get("prompt_tokens")
    return found


def _messages(body: dict[str, Any]) -> tuple[Message, ...] | None:
    messages = []
    for told in body["messages"]:
        content = told.get("content") or ""
        items = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if any(item["type"] != "text" for item in items):
            return None
        parts: list[Part] = [Text(item["text"]) for item in items]
        if told["role"] == "tool":
            parts = [ToolResult(told["tool_call_id"], "".join([item["text"] for item in items]))]
        for call in told.get("tool_calls") or ():
            parts.append(ToolCall(0, call["id"], call["function"]["name"], call["function"]["arguments"]))
        messages.append(Message(told["role"], tuple(parts)))
    return tuple(messages)


def _held_out(all_calls: list[Call], one: Call) -> Calibration:
    return calibrate(
        (estimate_tokens(call.request), call.counted)
        for call in all_calls
        if call.request.model == one.request.model and call is not one
    )


def _errors(told: list[tuple[float, int]]) -> dict[str, Any]:
    errors = sorted(abs(figure - counted) / counted for figure, counted in told)
    off = sorted(abs(figure - counted) for figure, counted in told)
    p95 = round(0.95 * (len(errors) - 1))
    return {
        "calls": len(told),
        "median error, %": 100 * statistics.median(errors),
        "p95, %": 100 * errors[p95],
        "median, tokens": statistics.median(off),
        "p95, tokens": off[p95],
    }


def main() -> None:
    found = list(calls())
    repeated = [call for call in found if sum(other.request.model == call.request.model for other in found) > 1]
    rows = []
    for which, some in (("all", found), ("models seen before", repeated)):
        ours = [(float(estimate_tokens(call.request)), call.counted) for call in some]
        learnt = [(float(_held_out(found, call)(estimate(call.request).tokens).likely), call.counted) for call in some]
        quarter = [(call.letters / 4, call.counted) for call in some]
        for name, told in (("ours", ours), ("ours, calibrated, held out", learnt), ("letters / 4", quarter)):
            rows.append({"estimate": name, "of": which} | _errors(told))
    ranges = [(estimate(call.request).tokens, call.counted) for call in found]
    inside = sum(tokens.low <= counted <= tokens.high for tokens, counted in ranges)
    megabyte = ("The quick brown fox, 42 times: {'jumps': [over]}\n" * 21_000)[: 10**6]
    took = min(_took_ms(megabyte) for _ in range(5))
    targets = [common.Target("a megabyte of text, ms", took, 10.0)]
    common.show("Prompt tokens of the recorded calls", rows, targets)
    print(f"\n{inside} of {len(ranges)} counts were inside the range that a dry run shows.")
    samples = {
        call.name: {"counted": call.counted, "ours": estimate_tokens(call.request), "letters / 4": call.letters / 4}
        for call in found
    }
    common.write("estimates", rows, targets, samples)


def _took_ms(text: str) -> float:
    begun = time.perf_counter()
    tokens: Range = text_tokens(text)
    assert tokens.likely
    return 1000 * (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
