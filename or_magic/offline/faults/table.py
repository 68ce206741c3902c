"""The table of faults: name, what it does in one sentence, and the functions that do it. Pure."""

from __future__ import annotations

from decimal import Decimal

from or_magic.offline.faults import answers, damage, errors, events, limits, patterns, payloads
from or_magic.offline.faults.fault import Fault, seconds, times

_TIERED = {
    "prompt": "0.000001", "completion": "0.000002",
    "overrides": [{"min_prompt_tokens": 1000, "prompt": "0.000003", "completion": "0.000006"}],
}  # fmt: skip
_FEE = {"prompt": "0.000001", "completion": "0.000002", "request": "0.005"}
FREE = {"prompt": "0", "completion": "0"}


def _error(name: str, says: str, refuse: limits.Refuse) -> Fault:
    return Fault(name, says, refuse=refuse, bills="nothing")


ORDINARY = (
    Fault("plain", "An ordinary answer at the price of the faults."),
    Fault("echo", "The answer is exactly the last user text.", answer=answers.echoed),
    Fault("long", "ARG chunks of one word each (10000).", answer=answers.long),
    Fault("no-cancel", "An ordinary answer that is billed in full even if the client leaves.", bills="all, always"),
    Fault(
        "tiered",
        "An ordinary answer; above 1000 prompt tokens the whole request costs three times as much.",
        pricing=_TIERED,
    ),
    Fault("request-fee", "An ordinary answer that costs 0.005 USD more per request.", pricing=_FEE),
)

ERRORS = (
    _error("error-400", "HTTP 400.", errors.error(400, "Invalid request parameters (simulated)")),
    _error("error-401", "HTTP 401.", errors.error(401, "No auth credentials found (simulated)")),
    _error("error-402", "HTTP 402: only ARG tokens (100) can be afforded.", errors.unaffordable),
    _error("error-403", "HTTP 403 with moderation metadata.", errors.moderated),
    _error("error-404", "HTTP 404 with availability: no endpoint is left.", errors.no_endpoints),
    _error("error-408", "HTTP 408.", errors.error(408, "Request timed out (simulated)")),
    _error("error-409", "HTTP 409.", errors.error(409, "Conflict (simulated)")),
    _error("error-413", "HTTP 413.", errors.error(413, "Request payload too large (simulated)")),
    _error("error-422", "HTTP 422.", errors.error(422, "Invalid argument (simulated)")),
    _error("error-425", "HTTP 425.", errors.error(425, "Too early (simulated)")),
    _error(
        "error-429",
        "HTTP 429 with Retry-After: ARG seconds (1), `date`, `date:SECONDS`, `ms`, `ms:NUMBER`, `none`, "
        "or any word as it is.",
        limits.limited,
    ),
    _error(
        "error-429-headers",
        "HTTP 429 without Retry-After; X-RateLimit headers say, in epoch ms, that it is over in ARG seconds (2).",
        limits.limited_in_headers,
    ),
    _error(
        "error-429-body", "As `error-429-headers`, and the headers stand in the body alone.", limits.limited_in_body
    ),
    _error("error-429-bare", "HTTP 429 that says nothing of when it is over.", limits.limited_without_hint),
    _error("error-429-daily", "HTTP 429: the free requests of the day are used up.", limits.limited_for_today),
    _error(
        "retryable",
        "HTTP ARG (503) whose `availability` says that a retry helps; `STATUS:SECONDS` adds its `retry_after`.",
        limits.told_retryable(retryable=True),
    ),
    _error(
        "not-retryable",
        "HTTP ARG (503) whose `availability` says that no retry helps.",
        limits.told_retryable(retryable=False),
    ),
    _error("error-500", "HTTP 500, masked.", errors.error(500, "Internal Server Error")),
    _error("error-502", "HTTP 502 with the provider's raw error.", errors.provider_failed),
    _error("error-503", "HTTP 503 with availability; ARG is its Retry-After.", errors.none_available),
    _error("error-504", "HTTP 504.", errors.error(504, "The provider timed out (simulated)")),
    _error("error-520", "HTTP 520 with an HTML body.", errors.html(520, "520: unknown error")),
    _error("error-524", "HTTP 524 with an HTML body.", errors.html(524, "524: a timeout occurred")),
    _error("error-529", "HTTP 529.", errors.error(529, "Provider returned error", provider_name="Offline Simulator")),
    _error("html", "HTTP 200, or ARG, with an HTML body.", errors.html(200, "Welcome")),
    _error("error-body", "HTTP 200 with a JSON error as the body, also for a stream.", errors.error_body),
    _error("redirect", "HTTP 307 to another host, or to ARG.", errors.redirected),
    _error("echo-key", "HTTP 401 whose message repeats the Authorization header.", errors.echoed_key),
)

LIMITS = (
    Fault(
        "quota",
        "ARG requests in any minute (20), `5/2` is 5 in any 2 s; then 429 with Retry-After and X-RateLimit headers.",
        refuse=limits.requests_quota(),
    ),
    Fault("quota-key", "As `quota`, for each key on its own.", refuse=limits.requests_quota(by_key=True)),
    Fault("quota-bare", "As `quota`, and the 429 says nothing of when.", refuse=limits.requests_quota(hints=False)),
    Fault(
        "quota-tokens",
        "As `quota`, in tokens (10000): those of the prompt and of the answer.",
        refuse=limits.tokens_quota,
    ),
    Fault("quota-daily", "ARG requests a UTC day (50), then as `error-429-daily`.", refuse=limits.daily_quota),
)

PATTERNS = (
    Fault(
        "flaky",
        "503 for the first ARG requests with the same body (1), then an ordinary answer.",
        refuse=patterns.flaky,
    ),
    Fault(
        "flaky-reset",
        "As `flaky`, with RST before any byte instead of 503; nothing ran.",
        refuse=patterns.dropping,
    ),
    Fault("fails-first", "503 for the first ARG requests (3), whatever they say.", refuse=patterns.first_fail),
    Fault("fails-every", "503 for every ARGth request (3).", refuse=patterns.every_nth),
    Fault("fails-by-turns", "ARG requests work (5), as many get 503, and so on.", refuse=patterns.by_turns),
    Fault("down", "503 for ARG seconds (1) from the first request on.", refuse=patterns.down),
    Fault(
        "tides",
        "Works for ARG seconds (1) from the first request on, then 503 for as long, and so on.",
        refuse=patterns.tides,
    ),
)

ENDINGS = (
    Fault(
        "mid-stream-error",
        "Half the text, then a chunk with a top-level error (code ARG, 502); free, as failures are.",
        answer=answers.ended("error"),
        deliver=events.mid_stream_error,
        status="error",
    ),
    Fault(
        "mid-stream-error-usage",
        "Half the text, then error and usage in one chunk, no finish reason; then [DONE].",
        answer=answers.ended(None),
        deliver=events.mid_stream_error_usage,
        status="error",
    ),
    Fault(
        "choice-error",
        "Half the text, then an error inside the choice; free, as failures are.",
        answer=answers.ended("error"),
        deliver=events.choice_error,
        status="error",
    ),
    Fault(
        "cut",
        "The body ends in an orderly way before finish reason, usage and [DONE], after ARG pieces of text (all).",
        deliver=events.cut_short,
    ),
    Fault("cut-done", "The body ends before finish reason and usage, but with [DONE].", deliver=events.cut_done),
    Fault("no-done", "Finish reason and usage come, [DONE] does not.", deliver=events.dropped("done")),
    Fault("no-end", "A complete answer with [DONE]; then the body never ends.", deliver=damage.endless_body),
    Fault("length", "Half the text, finish reason `length`.", answer=answers.ended("length")),
    Fault("content-filter", "Half the text, finish reason `content_filter`.", answer=answers.ended("content_filter")),
    Fault("refusal", "The answer is a refusal.", answer=answers.refused),
    Fault("json-misfit", "JSON that does not fit its schema.", answer=answers.misfitting),
    Fault(
        "json-misfit-once",
        "JSON that does not fit its schema; after an answer in the conversation, JSON that does.",
        answer=answers.misfitting_once,
    ),
    Fault("json-fenced", "The answer in a fenced block, with words around it.", answer=answers.fenced),
    Fault("json-chatty", "Words before the answer, and no fence around it.", answer=answers.chatty),
    Fault("empty", "No text, no completion token, finish reason `stop`.", answer=answers.empty),
    Fault(
        "generation-late",
        "As `cut`, and /generation knows the answer only ARG seconds (1) later.",
        deliver=events.cut,
        late=lambda arg: seconds(arg, 1.0) or 0.0,
    ),
)

CONNECTION = (
    Fault("reset", "RST after ARG bytes of the body (400).", deliver=damage.reset_after),
    Fault(
        "close-early", "An orderly end before any byte; nothing ran.", deliver=damage.closed_at_once, bills="nothing"
    ),
    Fault(
        "reset-in-headers",
        "RST in the middle of the headers; nothing ran.",
        deliver=damage.reset_inside_head,
        bills="nothing",
    ),
    Fault("reset-headers", "RST right after the headers.", deliver=damage.reset_after_head),
    Fault(
        "reset-early", "RST before any byte of the answer; nothing ran.", deliver=damage.reset_at_once, bills="nothing"
    ),
    Fault(
        "reset-early-billed",
        "RST before any byte of the answer, which was billed all the same.",
        deliver=damage.reset_at_once,
    ),
    Fault("refuse", "RST before the request is read.", deliver=damage.reset_at_once, bills="nothing"),
    Fault("stall", "Silence after some text, for ARG seconds or until the client leaves.", deliver=damage.stalled),
    Fault(
        "stall-first", "Headers, then silence for ARG seconds or until the client leaves.", deliver=damage.stalled_first
    ),
    Fault(
        "stall-headers", "No byte at all, for ARG seconds or until the client leaves.", deliver=damage.stalled_headers
    ),
    Fault("slow-headers", "Headers at one byte per ARG seconds (1).", deliver=damage.slow_headers),
    Fault("drip", "The body at one byte per ARG seconds (0.05).", deliver=damage.dripped),
    Fault("comments", "Comments every ARG seconds (0.02) and never an event.", deliver=damage.endless_comments),
    Fault("comments-then-answer", "ARG comments (20) before the answer.", deliver=damage.many_comments),
    Fault("wrong-length", "Content-Length is ARG bytes (100) more than the body has.", deliver=damage.too_short),
    Fault("gzip", "The body is gzip encoded if the client takes that.", deliver=damage.zipped),
    Fault(
        "gzip-cut",
        "As `cut`, gzip encoded if the client takes that, and the gzip stream ends in the middle.",
        deliver=damage.zipped_and_cut,
    ),
)

USAGE = (
    Fault("usage-missing", "No usage anywhere.", deliver=events.edited_usage(lambda _: None)),
    Fault("usage-no-cost", "Usage has tokens and no cost.", deliver=events.edited_usage(events.without_cost)),
    Fault("usage-zero", "The cost is 0, and that is what is billed; the tokens are not 0.", rate=lambda _: Decimal(0)),
    Fault(
        "usage-markup",
        "The cost, told and billed, is ARG times the list price (1.5).",
        rate=lambda arg: times(arg, "1.5"),
    ),
    Fault(
        "byok",
        "A key of the user's own: the cost is a fee of ARG percent (5), the list price is upstream's.",
        rate=lambda arg: times(arg, "5", "0.01"),
        byok=True,
    ),
    Fault(
        "cache-hit",
        "An answer of OpenRouter's response cache: usage all zeros, no cost.",
        deliver=events.cache_hit,
        bills="nothing",
    ),
    Fault("usage-twice", "The usage chunk comes two times.", deliver=events.usage_twice),
    Fault("usage-early", "The usage chunk comes before the last piece of text.", deliver=events.usage_early),
    Fault("usage-cumulative", "Every piece of text carries the usage up to then.", deliver=events.usage_cumulative),
    Fault("usage-2025", "The usage chunk of December 2025: a choice with finish reason null.", shape="2025-12"),
    Fault("usage-2026-03", "The usage chunk of March 2026: no choice.", shape="2026-03"),
    Fault("usage-2026-08", "The usage chunk of August 2026: the finish reason repeated (the default)."),
)

BYTES = (
    Fault("bad-utf8", "One piece of text holds a byte that is not UTF-8.", deliver=payloads.bad_utf8),
    Fault("bad-json", "One event is broken JSON.", deliver=payloads.bad_json),
    Fault("null-data", "One event is `null`.", deliver=payloads.instead(lambda _: b"null")),
    Fault("deep-json", "One event is nested ARG deep (100000).", deliver=payloads.instead(payloads.deep)),
    Fault(
        "huge-line",
        "One event is ARG MiB long (16) on one line, by a key that means nothing.",
        deliver=payloads.huge_line,
    ),
    Fault("crlf", "Lines end with CR LF.", deliver=damage.mapped(lambda data: data.replace(b"\n", b"\r\n"))),
    Fault("cr", "Lines end with CR.", deliver=damage.mapped(lambda data: data.replace(b"\n", b"\r"))),
    Fault("bom", "The body begins with a byte order mark.", deliver=damage.with_bom),
    Fault(
        "split-utf8",
        "Writes are cut inside characters of several bytes.",
        answer=answers.colourful,
        deliver=damage.split_characters,
    ),
    Fault("multi-line-data", "The JSON of each event is spread over several data lines.", deliver=payloads.multi_line),
    Fault(
        "unknown-keys",
        "Keys, types, values and events that nobody promised, all of them ignorable.",
        deliver=payloads.strange,
    ),
    Fault(
        "openai-plain",
        "A plain OpenAI-compatible answer: no cost, no provider, usage only if `stream_options` asks.",
        deliver=payloads.openai_plain,
        pricing=FREE,
        id_prefix="chatcmpl-",
    ),
)

CONTENT = (
    Fault(
        "reasoning",
        "Thinking first, asked for or not, with a signature and an encrypted block.",
        answer=answers.thoughtful,
        deliver=payloads.signed,
    ),
    Fault(
        "tools",
        "One tool call (of the first tool offered); after its result an ordinary answer.",
        answer=answers.calls_one,
    ),
    Fault("tools-forever", "One tool call in every round, without end.", answer=answers.calls_always),
    Fault(
        "tools-shuffled",
        "Two parallel tool calls: interleaved, the second first, name and type repeated.",
        answer=answers.calls_two,
        deliver=payloads.shuffled_tools,
    ),
    Fault("tools-empty-args", "One tool call whose arguments are an empty text.", answer=answers.calls_bare),
    Fault(
        "tools-broken-args",
        "One tool call whose arguments are JSON that breaks off; after its result an ordinary answer.",
        answer=answers.calls_broken,
    ),
    Fault("image", "Text and a small real PNG that says SIMULATED.", answer=answers.drawn),
    Fault(
        "image-between",
        "As `image`, streamed with the picture between two halves of the text.",
        answer=answers.drawn,
        deliver=events.drawn_between,
    ),
    Fault("audio", "A short real WAV (or bare samples) in pieces, with a transcript.", answer=answers.spoken),
    Fault("citations", "Three citations in three deltas, one of them a duplicate.", answer=answers.cited),
)

TABLE: tuple[Fault, ...] = ORDINARY + ERRORS + LIMITS + PATTERNS + ENDINGS + CONNECTION + USAGE + BYTES + CONTENT
