"""What is said about a reply: the answer's Markdown, the line under it, the receipt in the file. Pure."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

from .. import neutral
from ..charges import cost, served
from ..content import Citation, Image
from ..errors import MediaError
from ..options import Options
from ..outline import outline
from ..pictures import kind_of, opened
from ..pricing import verdict
from ..schema import Mismatch, parsed
from ..sound import Sound
from ..values import Reply, Total, Usage, dollars
from .pages import closed

Bundle = dict[str, Any]

_ENDINGS = {
    "length": "cut off at its token limit",
    "content_filter": "cut off by a content filter",
    "partial": "the answer broke off here",
    "interrupted": "interrupted here",
    "error": "the answer failed here",
    "unknown": "the answer broke off here",
    "mismatch": "this is not what was asked for",
}
_MONEY = re.compile(r"≥ \$[\d.,]+|\$[\d.,]+")
_CODE = re.compile(r"^( {0,3})(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^ {0,3}\2[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)


def answer(reply: Reply, *, hide_reasoning: bool = False, as_json: bool = False) -> str:
    """Return the answer as inert Markdown: reasoning folded above, how it ended and its sources below."""
    after = [*ending(reply), *sources(reply)]
    # An outline is inert by itself, and has no sign in it that could end what the reasoning has begun.
    rest = outline(reply.typed) if reply.typed and not as_json else None
    text = "" if rest is not None else json_block(reply) if as_json else reply.text
    if reply.reasoning and not hide_reasoning:
        tokens = reply.usage.reasoning_tokens if reply.usage else None
        title = f"Reasoning · {tokens:,} tokens" if tokens else "Reasoning"
        shown = neutral.fold(title, reply.reasoning, text)
    else:
        shown = neutral.markdown(text)
    if rest is not None:
        shown = f"{shown}{rest}"
    if not after:
        return shown
    return "\n\n".join([*([closed(shown).rstrip()] if shown else []), *after])


def json_block(reply: Reply) -> str:
    """Return the answer as a code block of JSON; what is none stands in it as it came."""
    text = neutral.plain(pretty(reply)).strip("\n")
    if not text:
        return ""
    longest = max([len(run) for run in re.findall("`+", text)], default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}json\n{text}\n{fence}"


def pretty(reply: Reply) -> str:
    """Return the answer's JSON, indented; what is none as it came."""
    try:
        value = reply.typed.value if reply.typed else parsed(reply.text)
    except Mismatch:
        return reply.text
    return json.dumps(value, indent=2, ensure_ascii=False)


def ending(reply: Reply) -> Iterator[str]:
    """Yield the sentence that says that the answer is not whole."""
    reason = reply.finish_reason if reply.status == "ok" else reply.status
    if reason == "error" and reply.finish_reason not in (None, "error"):  # the gateway saw no fault in it
        reason = reply.finish_reason if reply.finish_reason in _ENDINGS else "mismatch"
    if (told := _ENDINGS.get(str(reason))) and (reply.text or reply.status == "ok"):
        yield f"*— {told} —*"


def sources(reply: Reply) -> Iterator[str]:
    """Yield the pages that the answer names, as numbered links."""
    cited = [part for part in reply.parts if isinstance(part, Citation)]
    if cited:
        yield "\n".join(
            ["**Sources**", "", *[neutral.cite(number, part.title, part.url) for number, part in enumerate(cited, 1)]]
        )


def answer_bundle(reply: Reply, how: str, *, hide_reasoning: bool = False) -> Bundle | None:
    """Return the answer's output, or None where there is nothing to show; ``how`` is the format asked for."""
    if how == "text":
        text = neutral.plain(reply.text)
        return {"text/plain": "\n\n".join([text, *ending(reply)])} if text else None
    text = answer(reply, hide_reasoning=hide_reasoning, as_json=how == "json")
    return {"text/markdown": text, "text/plain": plain(reply)} if text else None


def is_json(options: Options) -> bool:
    """Whether the answer is JSON, of which nothing is to be seen before it is whole."""
    return options.schema is not None or options.format == "json"


def plain(reply: Reply) -> str:
    """Return one line for where Markdown is not shown; not the answer again, which would double the file."""
    words = " ".join(neutral.plain(reply.text[:400]).split())
    tokens = f" · {reply.usage.completion_tokens:,} tokens" if reply.usage and reply.usage.completion_tokens else ""
    return f"{served(reply)}{tokens} · {cost(reply)} · {words[:80]}"


def receipt(reply: Reply, tag: str | None = None) -> dict[str, Any]:
    """Return what a saved notebook keeps about a call, so that spend can be read back from the file."""
    usage = reply.usage
    return {
        "generation_id": reply.id,
        "call_id": reply.call_id or None,
        "tag": tag,
        "gateway": reply.gateway,
        "model_requested": reply.model_requested,
        "model": reply.model,
        "provider": reply.provider,
        "status": reply.status,
        "finish_reason": reply.finish_reason,
        "latency_s": None if reply.latency_s is None else round(reply.latency_s, 3),
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "cost_usd": None if reply.cost_usd is None else f"{reply.cost_usd:f}",
        **({"earlier": _earlier(reply.earlier)} if reply.earlier else {}),
    }


def _earlier(earlier: Total) -> dict[str, Any]:
    return {
        "billed_usd": f"{earlier.billed_usd:f}",
        "estimated_usd": f"{earlier.estimated_usd:f}",
        "unknown_calls": earlier.unknown_calls,
    }


def status_line(reply: Reply, total: Total | None, *notes: str) -> str:
    """Return the line under an answer; what is not known is not in it, or says so."""
    mark = "✓" if reply.status == "ok" else f"✗ {reply.status} ·"
    words = [f"{mark} {served(reply)}"]
    if reply.finish_reason in ("length", "content_filter"):
        words.append(f"cut short: {reply.finish_reason}")
    if reply.latency_s is not None:
        first = f", first word {reply.first_token_s:.1f} s" if reply.first_token_s is not None and reply.text else ""
        words.append(f"{reply.latency_s:.1f} s{first}")
    if reply.usage and reply.usage.prompt_tokens is not None and reply.usage.completion_tokens is not None:
        words.append(f"{reply.usage.prompt_tokens:,} → {reply.usage.completion_tokens:,} tokens")
    words += [*kept(reply), bill(reply)]
    if total is not None:
        words.append(f"session {total.at_least}")
    return " · ".join([*words, *notes])


def status_bundle(line: str) -> Bundle:
    """Return the line as an output: small and quiet, with a line of text for where HTML is not shown."""
    # Front ends take what stands between two dollars for a formula, unless an element ends between them.
    marked = _MONEY.sub(lambda found: f"<span>{found[0]}</span>", html.escape(line))
    return {"text/html": f'<small style="opacity:.75">{marked}</small>', "text/plain": line}


def kept(reply: Reply) -> Iterator[str]:
    """Yield what the provider's cache of prompts did, where it did something."""
    usage, saved_usd = reply.usage or Usage(), reply.saved_usd
    told = [
        f"cached {usage.cached_tokens:,} tokens" if usage.cached_tokens else "",
        f"wrote {usage.cache_write_tokens:,} to the cache" if usage.cache_write_tokens else "",
    ]
    words = [word for word in told if word]
    if not words:
        return
    if saved_usd:
        amount = f"{dollars(abs(saved_usd), digits=4)}{' simulated' * reply.simulated}"
        words.append(f"saved {amount}" if saved_usd > 0 else f"{amount} dearer this once")
    yield ", ".join(words)


def bill(reply: Reply) -> str:
    """Return what the call cost, beside its list price where that does not explain it."""
    word = verdict(reply)
    if word is None or reply.listed_usd is None:
        return cost(reply)
    if word == "unbilled":
        return f"billed {cost(reply)} although its tokens have a list price of {dollars(reply.listed_usd)}"
    return f"billed {cost(reply)}, list price {dollars(reply.listed_usd)}"


def about_picture(part: Image, name: str) -> str:
    """Return what a picture is and where it is kept; of one by address, the host that it would be loaded from."""
    if part.data is None:
        host = re.match(r"[a-z]+://(?:[^/@]*@)?([^/?#]+)", part.url or "", re.IGNORECASE)
        return neutral.line(f"a picture at {host[1] if host else 'an address'}, not loaded")
    try:
        width, height = opened(part).size
    except MediaError:
        return f"a picture that cannot be shown, {size(len(part.data))}: {name.replace('images', 'images.parts')}.data"
    return f"a picture, {width} × {height} {kind_of(part.data)}, {size(len(part.data))}: {name}"


def about_sound(sound: Sound, name: str) -> str:
    """Return what a sound is and where it is kept."""
    seconds = sound.seconds
    lasts = "" if seconds is None else f" of {seconds:.1f} s"
    return f"a sound{lasts}, {neutral.line(sound.format)}, {size(len(sound))}: {name}"


def size(size_bytes: int) -> str:
    """Return a size as people say it."""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"


def first_code(text: str) -> str | None:
    """Return what is in the first code block of an answer, or None."""
    found = _CODE.search(text)
    return found[3].rstrip("\n") if found else None


def fenced(text: str, language: str = "") -> str:
    """Return text as a block of code, whatever fences are in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
