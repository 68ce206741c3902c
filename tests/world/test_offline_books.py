"""The simulator's own ledger is exact, and knows who left, who was told, and who owes nothing."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from or_magic.offline import Server, serve
from or_magic.offline.money import charge, number_text, pico

from ..guards import HANG_S, SOON_S
from .kit import until

PROMPT = "Tell me what you received, please."


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


def body(model: str, **more: Any) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": PROMPT}], **more}).encode()


def ask(server: Server, model: str, **more: Any) -> tuple[int, bytes]:
    """Ask and read whatever comes."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_S)
    try:
        connection.request("POST", "/api/v1/chat/completions", body(model, **more))
        response = connection.getresponse()
        return response.status, response.read()
    except (http.client.HTTPException, ConnectionError):
        return 0, b""
    finally:
        connection.close()


def leave(server: Server, model: str, seen: bytes = b"", **more: Any) -> None:
    """Ask, and close when the server has the question and the client has ``seen`` this."""
    data, told, before = body(model, **more), b"", server.received()
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S) as sock:
        head = f"POST /api/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
        sock.sendall(head.encode() + data)
        assert until(lambda: server.received() > before)
        while seen not in told:
            piece = sock.recv(4096)
            assert piece, told
            told += piece


def get(server: Server, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_S)
    connection.request("GET", path)
    response = connection.getresponse()
    found = json.loads(response.read(), parse_float=Decimal)
    connection.close()
    return response.status, found


def cost_text(data: bytes) -> str:
    """Return the cost exactly as it was printed."""
    return data.decode().split('"cost":')[1].split(",")[0]


def test_the_books_hold_exactly_the_cost_that_was_sent(server: Server) -> None:
    """The client's ledger is compared with this text, digit by digit."""
    models = (
        "openai/gpt-5-mini",
        "deepseek/deepseek-v4-pro",
        "meta-llama/llama-3.3-70b-instruct:free",
        "offline/plain",
    )
    texts = [cost_text(ask(server, model, stream=stream)[1]) for model in models for stream in (True, False)]
    assert texts == [billed.cost_text for billed in server.billed()]
    assert [int(Decimal(text) * 10**12) for text in texts] == [billed.cost_pico for billed in server.billed()]
    assert {("ok", False, True)} == {(each.status, each.cancelled, each.delivered_usage) for each in server.billed()}
    assert {PROMPT} == {billed.prompt for billed in server.billed()}


def test_generation_key_and_books_agree(server: Server) -> None:
    """There is one truth, told in three places."""
    for _ in range(20):
        ask(server, "openai/gpt-5-mini", stream=True)
    generations = [
        get(server, f"/api/v1/generation?id={billed.generation_id}")[1]["data"] for billed in server.billed()
    ]
    assert [Decimal(billed.cost_text) for billed in server.billed()] == [each["total_cost"] for each in generations]
    total = sum(Decimal(billed.cost_text) for billed in server.billed())
    assert total == get(server, "/api/v1/key")[1]["data"]["usage"]
    assert 20 == len(get(server, "/offline/ledger")[1]["data"])


def test_an_unknown_generation_is_404(server: Server) -> None:
    """Nothing is made up."""
    assert 404 == get(server, "/api/v1/generation?id=gen-1-none")[0]


def test_a_late_generation_is_known_when_its_time_has_come() -> None:
    """Clients have to poll; the clock is an argument, so nobody waits here."""
    now = [1_777_593_600.0]
    with serve(clock=lambda: now[0]) as server:
        ask(server, "offline/generation-late:30", stream=True)
        path = f"/api/v1/generation?id={server.billed()[0].generation_id}"
        before = get(server, path)[0]
        now[0] += 30
        assert (404, 200) == (before, get(server, path)[0])


def test_silent_answers_end_as_soon_as_the_client_leaves(server: Server) -> None:
    """A thread that waits for a client that is gone would pile up."""
    for name in ("stall", "stall-first", "stall-headers", "slow-headers", "drip", "comments", "no-end"):
        leave(server, f"offline/{name}", stream=True)
    assert server.idle(SOON_S)
    assert until(lambda: not _call_threads())


def _call_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "or_magic offline call"]


def test_a_client_that_leaves_pays_for_what_was_made_until_then() -> None:
    """That is what cancelling means on OpenRouter."""
    with serve(pace_s=0.01) as paced:
        leave(paced, "offline/long:100000", b" word", stream=True)
        assert paced.idle(HANG_S)
        (part,) = paced.billed()
        _, found = get(paced, f"/api/v1/generation?id={part.generation_id}")
    assert ("cancelled", True, False) == (part.status, part.cancelled, part.delivered_usage)
    assert 0 < part.completion_tokens < 100_000
    assert part.cost_pico == part.prompt_tokens * 10**6 + part.completion_tokens * 2 * 10**6
    assert (True, None) == (found["data"]["cancelled"], found["data"]["finish_reason"])


@pytest.mark.parametrize(("model", "stream"), [("offline/no-cancel", True), ("openai/gpt-5-mini", False)])
def test_some_answers_are_paid_in_full_by_who_leaves(model: str, *, stream: bool) -> None:
    """Not every provider stops, and nobody stops an answer that is not streamed."""
    with serve(pace_s=0.02) as paced:
        leave(paced, model, stream=stream)
        assert paced.idle(HANG_S)
        (full,) = paced.billed()
    assert ("cancelled", True) == (full.status, full.cancelled)
    assert full.completion_tokens > 50


def test_a_client_that_leaves_a_fast_long_answer_is_noticed(server: Server) -> None:
    """At full speed nothing waits, so only a failing write tells."""
    leave(server, "offline/long:200000", b"HTTP", stream=True)
    assert server.idle(HANG_S)
    (billed,) = server.billed()
    assert ("cancelled", False) == (billed.status, billed.delivered_usage)
    assert billed.completion_tokens < 200_000


def test_the_books_know_what_the_client_was_not_told(server: Server) -> None:
    """Cut, reset and silent answers are billed; refused ones and those that never began are not."""
    for name in (
        "cut",
        "reset:100",
        "reset-early-billed",
        "usage-missing",
        "reset-early",
        "refuse",
        "error-500",
        "html",
    ):
        ask(server, f"offline/{name}", stream=True)
    assert server.idle(HANG_S)
    assert ["cut", "reset:100", "reset-early-billed", "usage-missing"] == [each.model[8:] for each in server.billed()]
    assert [False] * 4 == [each.delivered_usage for each in server.billed()]
    assert all(each.cost_pico > 0 for each in server.billed())


def test_failed_answers_are_free_and_broken_ones_are_not(server: Server) -> None:
    """OpenRouter charges nothing for an answer whose finish is an error."""
    for name in ("mid-stream-error", "choice-error", "mid-stream-error-usage", "empty"):
        ask(server, f"offline/{name}", stream=True)
    free, free_too, paid, empty = server.billed()
    assert ("error", 0) == (free.status, free.cost_pico) == (free_too.status, free_too.cost_pico)
    assert ("error", True) == (paid.status, paid.cost_pico > 0)
    assert empty.prompt_tokens * 10**6 == empty.cost_pico


def test_a_flaky_model_recovers(server: Server) -> None:
    """Retries need something that fails a known number of times."""
    assert [503, 503, 200, 200] == [ask(server, "offline/flaky:2")[0] for _ in range(4)]


def test_a_refused_request_is_not_counted(server: Server) -> None:
    """It never arrived whole; not even when it is too large for the buffers between the two."""
    ask(server, "offline/refuse", metadata={"padding": "x" * (32 << 20)})
    ask(server, "offline/reset-early")
    assert (2, 1) == (server.connections(), server.received())


def test_overrides_price_the_whole_request() -> None:
    """The tier above a number of prompt tokens holds for all of them, and for the answer."""
    pricing = {
        "prompt": "0.000003",
        "completion": "0.000015",
        "overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.000006", "completion": "0.0000225"}],
    }
    assert Decimal("0.60003") == charge(pricing, 200_000, 2).total_usd
    assert Decimal("1.200051") == charge(pricing, 200_001, 2).total_usd


@pytest.mark.parametrize(
    ("amount", "text", "picos"),
    [("0", "0", 0), ("1E+2", "100", 10**14), ("0.00000465", "0.00000465", 4_650_000), ("5E-13", "0.0000000000005", 0)],
)
def test_money_is_printed_plainly_and_rounded_half_even(amount: str, text: str, picos: int) -> None:
    """Half a pico-dollar goes to the even side."""
    assert (text, picos) == (number_text(Decimal(amount)), pico(Decimal(amount)))


def test_a_cost_survives_a_double() -> None:
    """A client that reads it as a float and prints it has to get the same digits."""
    prices = {"prompt": "0.00000000833333333333333334", "completion": "0.0000000777777"}
    for tokens in range(1, 3000, 7):
        cost = charge(prices, tokens, tokens * 13).total_usd
        assert cost == Decimal(repr(float(cost)))
