"""Every gateway keeps the same promises: one set of tests, run against each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import openai
import psutil
import pytest

from or_magic.api import Session, connect
from or_magic.errors import CallError, ConnectionFailedError, RefusedError, UnknownModelError
from or_magic.events import Closed, Opened, Piece

from ..world.kit import LIMITS, Simulator, books, dead_port, until


@dataclass(frozen=True)
class Gateway:
    """One gateway under contract, and models that make it behave in a known way."""

    session: Session
    port: int
    complete: str
    cut: str
    refused: str
    unknown: str
    tells_cost: bool = True


def _offline(home: Path, _: Path) -> Iterator[Gateway]:
    with connect(offline=True, home=home, timeouts=LIMITS, retries=0) as session:
        server = session.engine.gateways.server
        assert server is not None
        yield Gateway(session, server.port, "offline/plain", "offline/cut", "offline/error-402", "no/such-model")


def _over_http(home: Path, _: Path) -> Iterator[Gateway]:
    yield from _simulated(home, "offline/plain", "offline/cut", "offline/error-402", "no/such-model")


def _plain_openai(home: Path, _: Path) -> Iterator[Gateway]:
    yield from _simulated(
        home, "offline/openai-plain", "offline/cut", "offline/error-400", "no/such-model", tells_cost=False
    )


def _their_client(home: Path, _: Path) -> Iterator[Gateway]:
    simulator = Simulator()
    client = openai.OpenAI(base_url=simulator.url, api_key="theirs")
    with client, connect(client=client, home=home, timeouts=LIMITS, retries=0) as session:
        yield Gateway(session, simulator.port, "offline/plain", "offline/cut", "offline/error-402", "no/such-model")
    simulator.close()


def _replay(home: Path, shared: Path) -> Iterator[Gateway]:
    yield from _simulated(
        home, "replay/magentic-complete-streamed-response", "replay/pai-stream-error", "replay/pai-errors-raised.1", "replay/no-such",
        options=("--replay", str(shared / "openrouter" / "recorded")),
    )  # fmt: skip


def _simulated(home: Path, *models: str, options: tuple[str, ...] = (), tells_cost: bool = True) -> Iterator[Gateway]:
    complete, cut, refused, unknown = models
    simulator = Simulator(*options)
    with connect(base_url=simulator.url, home=home, timeouts=LIMITS, retries=0) as session:
        yield Gateway(session, simulator.port, complete, cut, refused, unknown, tells_cost)
    simulator.close()


KINDS: dict[str, Callable[[Path, Path], Iterator[Gateway]]] = {
    "offline": _offline,
    "http": _over_http,
    "openai-plain": _plain_openai,
    "their-client": _their_client,
    "replay": _replay,
}


@pytest.fixture(params=KINDS)
def gateway(request: pytest.FixtureRequest, home: Path) -> Iterator[Gateway]:
    shared = request.getfixturevalue("shared") if request.param == "replay" else home
    yield from KINDS[request.param](home, shared)


def ledger_of(gateway: Gateway) -> list[dict[str, object]]:
    return books(gateway.session.engine.ledger.path)


def local_ports(port: int) -> set[int]:
    """The ports of this process that are connected to ``port``."""
    connections = psutil.Process().net_connections("tcp")
    return {each.laddr.port for each in connections if each.raddr and each.raddr.port == port}


def test_a_complete_answer_is_a_reply_and_a_row(gateway: Gateway) -> None:
    """What the row says is what the reply says."""
    reply = gateway.session.ask("Say hello.", model=gateway.complete, tag="one")
    (row,) = ledger_of(gateway)
    assert ("ok", "ok", "one") == (reply.status, row["status"], row["tag"])
    assert reply.text
    assert (reply.id, reply.call_id) == (row["generation_id"], row["call_id"])
    assert (reply.model, reply.provider) == (row["model"], row["provider"])
    assert gateway.complete == row["model_requested"]
    assert reply.finish_reason == row["finish_reason"]
    assert 0 <= reply.first_token_s <= reply.latency_s


def test_cost_is_told_exactly_or_unknown(gateway: Gateway) -> None:
    """An OpenAI-compatible server tells no cost, and no cost is not 0."""
    reply = gateway.session.ask("Say hello.", model=gateway.complete)
    (row,) = ledger_of(gateway)
    assert ("billed" if gateway.tells_cost else "unknown") == row["cost_source"]
    if gateway.tells_cost:
        assert reply.cost_usd is not None
        assert (reply.cost_usd, int(reply.cost_usd * 10**12)) == (Decimal(str(row["cost_text"])), row["cost_pico"])
    else:
        assert (None, None, None) == (reply.cost_usd, row["cost_text"], row["cost_pico"])
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (
        row["prompt_tokens"], row["completion_tokens"],
    )  # fmt: skip


def test_a_stream_opens_once_closes_once_and_ends_with_its_reply(gateway: Gateway) -> None:
    """Whoever shows it relies on that order."""
    with gateway.session.stream("Say hello.", model=gateway.complete) as stream:
        events = list(stream)
    assert 1 == sum(isinstance(event, Opened) for event in events)
    assert 1 == sum(isinstance(event, Closed) for event in events)
    assert isinstance(events[-1], Closed)
    first = next(place for place, event in enumerate(events) if isinstance(event, Piece))
    assert any(isinstance(event, Opened) for event in events[:first])
    assert ("ok", events[-1].generation_id) == (stream.reply.status, stream.reply.id)


def test_the_generation_id_is_in_the_books_before_the_first_piece(gateway: Gateway) -> None:
    """With it the cost can be asked for, whatever happens next."""
    with gateway.session.stream("Say hello.", model=gateway.complete) as stream:
        for event in stream:
            if isinstance(event, Piece):
                break
        (row,) = ledger_of(gateway)
    assert ("open", stream.reply.id) == (row["status"], row["generation_id"])
    assert row["generation_id"]


def test_closing_a_stream_early_is_interrupted_and_keeps_what_came(gateway: Gateway) -> None:
    """What was paid for is not thrown away, and is not called complete."""
    with gateway.session.stream("Say hello.", model=gateway.complete) as stream:
        next(event for event in stream if isinstance(event, Piece))
    (row,) = ledger_of(gateway)
    assert ("interrupted", "interrupted") == (stream.reply.status, row["status"])
    assert until(lambda: not local_ports(gateway.port))


def test_an_answer_that_breaks_raises_and_the_partial_reply_rides_on_it(gateway: Gateway) -> None:
    """Never the appearance of success."""
    with pytest.raises(CallError) as caught:
        gateway.session.ask("Say hello.", model=gateway.cut)
    (row,) = ledger_of(gateway)
    assert caught.value.reply.parts
    assert caught.value.reply.status in ("partial", "error")
    assert caught.value.reply.status == row["status"]


def test_a_refusal_costs_nothing(gateway: Gateway) -> None:
    """4xx: nothing ran."""
    with pytest.raises(RefusedError, match=r"Nothing ran and nothing was billed\."):
        gateway.session.ask("Say hello.", model=gateway.refused)
    (row,) = ledger_of(gateway)
    assert ("refused", "none", 0) == (row["status"], row["cost_source"], row["cost_pico"])


def test_an_unknown_model_is_sent_and_its_refusal_shown(gateway: Gateway) -> None:
    """Catalogues lag behind: only the gateway knows what it serves."""
    with pytest.raises(UnknownModelError):
        gateway.session.ask("Say hello.", model=gateway.unknown)
    assert ["refused"] == [row["status"] for row in ledger_of(gateway)]


def test_a_hundred_calls_use_one_connection(gateway: Gateway) -> None:
    """A TLS handshake for each would cost more than some answers."""
    seen: set[int] = set()
    for _ in range(101):
        gateway.session.ask("Say hello.", model=gateway.complete)
        seen |= local_ports(gateway.port)
    assert 1 == len(seen)
    assert 101 == len(ledger_of(gateway))


def test_refusals_keep_the_connection_too(gateway: Gateway) -> None:
    """A rate limit must not cost a handshake each."""
    seen: set[int] = set()
    for _ in range(5):
        with pytest.raises(CallError):
            gateway.session.ask("Say hello.", model=gateway.refused)
        gateway.session.ask("Say hello.", model=gateway.complete)
        seen |= local_ports(gateway.port)
    assert 1 == len(seen)


def test_nobody_there_is_not_sent_and_not_booked(home: Path) -> None:
    """What never left cannot cost anything, and the error says so."""
    with connect(base_url=f"http://127.0.0.1:{dead_port()}/v1", home=home, timeouts=LIMITS, retries=0) as session:
        with pytest.raises(ConnectionFailedError, match=r"Nothing was sent\."):
            session.ask("Hello?")
        assert [] == books(session.engine.ledger.path)
