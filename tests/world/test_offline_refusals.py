"""Every fault of the offline simulator that is an answer without a generation: errors, HTML, redirects."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from or_magic.offline import Server, serve
from or_magic.offline.faults.table import ERRORS

from ..guards import HANG_S

NOW_S = 1_777_593_600.0  # the simulator's clock stands still
PROMPT = "Tell me what you received, please."


@dataclass(frozen=True)
class Seen:
    """What a client saw of one answer; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["error"]
        return found


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(clock=lambda: NOW_S) as running:
        yield running


def ask(server: Server, model: str, *, stream: bool) -> Seen:
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "stream": stream}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_S)
    headers = {"Authorization": "Bearer canary"}
    connection.request("POST", "/api/v1/chat/completions", json.dumps(body), headers)
    response = connection.getresponse()
    found = {name.lower(): value for name, value in response.getheaders()}
    seen = Seen(response.status, found, response.read())
    connection.close()
    return seen


def status(expected: int, **metadata: Any) -> Callable[[Seen], bool]:
    def check(seen: Seen) -> bool:
        held = seen.error.get("metadata", {})
        return seen.status == expected == seen.error["code"] and all(
            held[key] == value for key, value in metadata.items()
        )

    return check


def html(expected: int) -> Callable[[Seen], bool]:
    return lambda seen: (
        seen.status == expected and b"<html>" in seen.body and "text/html" in seen.headers["content-type"]
    )


def retry_after(word: str | None) -> Callable[[Seen], bool]:
    return lambda seen: seen.status == 429 and seen.headers.get("retry-after") == word


def reset_s(epoch_ms: str) -> float:
    return int(epoch_ms) / 1000 - NOW_S


def waits_s(seen: Seen) -> float:
    return parsedate_to_datetime(seen.headers["retry-after"]).timestamp() - NOW_S


def available(expected: int, **facts: Any) -> Callable[[Seen], bool]:
    return lambda seen: (
        seen.status == expected == seen.error["http_status"]
        and "code" not in seen.error
        and facts.items() <= seen.error["availability"].items()
    )


CASES: list[tuple[str, Callable[[Seen], bool]]] = [
    ("error-400", status(400, error_type="invalid_request")),
    ("error-401", status(401, error_type="authentication")),
    ("error-402:77", lambda seen: status(402)(seen) and "can only afford 77." in seen.error["message"]),
    (
        "error-403",
        lambda seen: status(403, reasons=["simulated"])(seen) and seen.error["metadata"]["flagged_input"] == PROMPT,
    ),
    ("error-404", lambda seen: status(404)(seen) and seen.error["availability"]["code"] == "no_endpoints"),
    ("error-408", status(408, error_type="timeout")),
    ("error-409", status(409)),
    ("error-413", status(413, error_type="payload_too_large")),
    ("error-422", status(422, error_type="unprocessable")),
    ("error-425", status(425)),
    ("error-429", status(429, error_type="rate_limit_exceeded")),
    ("error-429:2", retry_after("2")),
    ("error-429:0", retry_after("0")),
    ("error-429:-1", retry_after("-1")),
    ("error-429:inf", retry_after("inf")),
    ("error-429:junk\r\nX-Injected: 1", lambda seen: "x-injected" not in seen.headers),
    ("error-429:date", lambda seen: bool(re.fullmatch(r"\w{3}, .* GMT", seen.headers["retry-after"]))),
    ("error-429:ms", lambda seen: seen.headers["retry-after-ms"] == "1500" and retry_after(None)(seen)),
    ("error-429:1.5", retry_after("1.5")),
    ("error-429:1e309", retry_after("1e309")),
    ("error-429:none", retry_after(None)),
    ("error-429:date:-60", lambda seen: waits_s(seen) == -60),
    ("error-429:date:120", lambda seen: waits_s(seen) == 120),
    ("error-429:ms:250", lambda seen: seen.headers["retry-after-ms"] == "250"),
    ("error-429:4", lambda seen: reset_s(seen.headers["x-ratelimit-reset"]) == 4),
    (
        "error-429-headers:5",
        lambda seen: (
            retry_after(None)(seen)
            and reset_s(seen.headers["x-ratelimit-reset"]) == 5
            and "headers" not in seen.error["metadata"]
        ),
    ),
    (
        "error-429-body:5",
        lambda seen: (
            retry_after(None)(seen)
            and "x-ratelimit-reset" not in seen.headers
            and reset_s(seen.error["metadata"]["headers"]["X-RateLimit-Reset"]) == 5
        ),
    ),
    (
        "error-429-bare",
        lambda seen: (
            retry_after(None)(seen)
            and {"error_type": "rate_limit_exceeded"} == seen.error["metadata"]
            and not [name for name in seen.headers if "ratelimit" in name]
        ),
    ),
    ("retryable", available(503, retryable=True)),
    ("retryable:429:2.5", available(429, retryable=True, retry_after=2.5)),
    ("retryable:404", available(404, retryable=True)),
    ("not-retryable", available(503, retryable=False)),
    ("not-retryable:429:7", available(429, retryable=False, retry_after=7)),
    ("error-429-daily", status(429, limit_source="openrouter_free_tier_daily")),
    ("error-500", status(500, error_type="server")),
    ("error-502", lambda seen: status(502)(seen) and "raw" in seen.error["metadata"]),
    ("error-503:3", lambda seen: status(503)(seen) and seen.error["availability"]["retry_after"] == 3),
    ("error-504", status(504)),
    ("error-520", html(520)),
    ("error-524", html(524)),
    ("error-529", status(529, error_type="provider_overloaded")),
    ("html", html(200)),
    ("html:502", html(502)),
    ("error-body", lambda seen: seen.status == 200 and seen.error["code"] == 502),
    ("redirect", lambda seen: seen.status == 307 and seen.headers["location"].startswith("http://127.0.0.2:")),
    ("redirect:http://127.0.0.3:1/x", lambda seen: seen.headers["location"] == "http://127.0.0.3:1/x"),
    ("echo-key", lambda seen: "Bearer canary" in seen.error["message"]),
]


@pytest.mark.parametrize(("model", "check"), CASES, ids=[repr(case[0]) for case in CASES])
@pytest.mark.parametrize("stream", [True, False])
def test_a_refusal_shows_its_defining_property(
    server: Server, model: str, check: Callable[[Seen], bool], *, stream: bool
) -> None:
    """An error before the first token is ordinary HTTP, also when a stream was asked for."""
    seen = ask(server, f"offline/{model}", stream=stream)
    assert check(seen), (seen.headers, seen.body)
    assert () == server.billed()


def test_every_refusal_of_the_table_has_a_case() -> None:
    """A fault that nobody checked is a promise that nobody keeps."""
    assert {fault.name for fault in ERRORS} == {model.partition(":")[0] for model, _ in CASES}
