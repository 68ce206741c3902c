"""What DESIGN §2 says becomes of a call under each fault of the simulator: status, cost source, exception. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from or_magic import errors
from or_magic.errors import CallError


@dataclass(frozen=True)
class Outcome:
    """What is allowed once everything that can be asked for has been asked for."""

    statuses: frozenset[str]
    sources: frozenset[str]
    error: type[CallError] | None


def _rows(words: str, statuses: str, sources: str, error: type[CallError] | None = None) -> dict[str, Outcome]:
    outcome = Outcome(frozenset(statuses.split()), frozenset(sources.split()), error)
    return dict.fromkeys(words.split(), outcome)


# A fault by its name, with the ARG the proof uses; its expectation.
OUTCOMES: dict[str, Outcome] = {
    **_rows(
        "plain echo long:300 no-cancel tiered request-fee no-done no-end length content-filter refusal empty "
        "json-misfit json-misfit-once json-fenced json-chatty "
        "comments-then-answer wrong-length gzip usage-twice usage-early usage-cumulative usage-2025 usage-2026-03 "
        "usage-2026-08 bad-utf8 huge-line:1 crlf cr bom split-utf8 multi-line-data unknown-keys reasoning tools "
        "tools-forever tools-shuffled tools-empty-args tools-broken-args image audio citations usage-zero usage-markup byok "
        "image-between "
        "quota:1000000 quota-key:1000000 quota-bare:1000000 quota-daily:1000000 quota-tokens:100000000 "
        "fails-by-turns:1000000 tides:1000000", "ok", "billed",
    ),
    **_rows("usage-missing usage-no-cost", "ok", "reconciled"),
    **_rows("cache-hit", "ok", "none"),
    **_rows("openai-plain", "ok", "unknown"),  # its ids are not OpenRouter's, so nobody can be asked
    **_rows("error-400 error-408 error-409 error-413 error-422 error-425 redirect", "refused", "none",
            errors.RefusedError),
    **_rows("error-401 echo-key", "refused", "none", errors.KeyRefusedError),
    **_rows("error-402", "refused", "none", errors.PaymentError),
    **_rows("error-403", "refused", "none", errors.ForbiddenError),
    **_rows("error-404", "refused", "none", errors.UnknownModelError),
    **_rows("error-429 error-429-daily error-429-headers error-429-body error-429-bare quota:0", "refused", "none", errors.RateLimitedError),
    **_rows("flaky fails-first:1000000 fails-every:1 down:inf retryable not-retryable "
            "error-500 error-502 error-503 error-504 error-529 error-body", "error", "none",
            errors.ProviderError),
    **_rows("error-520 error-524", "error", "unknown", errors.ProviderError),  # an edge's page knows nothing of money
    **_rows("html", "error", "unknown", errors.ProtocolError),
    **_rows("mid-stream-error", "error", "reconciled", errors.ProviderError),
    **_rows("mid-stream-error-usage choice-error", "error", "billed", errors.ProviderError),
    **_rows("null-data deep-json bad-json", "error", "billed", errors.ProtocolError),
    **_rows("cut cut-done gzip-cut generation-late:1", "partial", "reconciled", errors.TruncatedError),
    **_rows("huge-line", "partial", "reconciled", errors.ProtocolError),
    **_rows("reset reset:3000", "partial unknown", "reconciled", errors.ConnectionFailedError),
    **_rows("reset-headers", "unknown", "reconciled", errors.ConnectionFailedError),
    **_rows("reset-early reset-early-billed reset-in-headers close-early flaky-reset refuse", "unknown", "unknown", errors.ConnectionFailedError),
    **_rows("stall", "interrupted", "reconciled", errors.CallTimeoutError),
    **_rows("stall-first comments", "unknown", "reconciled", errors.CallTimeoutError),
    **_rows("drip", "unknown interrupted", "reconciled", errors.CallTimeoutError),
    **_rows("stall-headers slow-headers", "unknown", "unknown", errors.CallTimeoutError),
}  # fmt: skip

# What the server never reads cannot stand in its count of requests.
NEVER_READ = frozenset({"refuse"})
# These cost seconds or megabytes each, so they are drawn less often.
SILENT = frozenset({"stall", "stall-first", "stall-headers", "slow-headers", "drip", "comments"})
SLOW = SILENT | {"huge-line"}
ORDINARY = ("openai/gpt-4o-mini", "openai/gpt-5-mini", "meta-llama/llama-3.3-70b-instruct:free")
