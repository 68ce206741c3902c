"""Asking inside an event loop: answers, errors, and a cancel that closes the connection."""

from __future__ import annotations

import asyncio

import pytest

from or_magic.api import Session
from or_magic.errors import TruncatedError

from ..guards import HANG_S
from ..world.kit import rows, server_of, statuses, until


def test_aask_answers(offline: Session) -> None:
    """For those who live in a loop."""

    async def three() -> list[str]:
        replies = await asyncio.gather(*(offline.aask(f"call {n}", model="offline/echo") for n in range(3)))
        return [reply.text for reply in replies]

    assert ["call 0", "call 1", "call 2"] == asyncio.run(three())


def test_aask_raises_what_ask_raises(offline: Session) -> None:
    """With the partial reply on it."""
    with pytest.raises(TruncatedError) as caught:
        asyncio.run(offline.aask("Hello", model="offline/cut"))
    assert caught.value.reply.text


def test_cancelling_aask_closes_the_connection(paced: Session) -> None:
    """The server sees it, and the books know it."""

    async def cancelled() -> None:
        task = asyncio.create_task(paced.aask("Hello", model="offline/long:100000"))
        assert await asyncio.to_thread(until, lambda: any(row["generation_id"] for row in rows(paced)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert server_of(paced).idle(HANG_S)
    (billed,) = server_of(paced).billed()
    assert ("cancelled", True) == (billed.status, billed.completion_tokens < 50_000)
    assert until(lambda: statuses(paced) == ["interrupted"])


def test_cancelling_aask_at_once_sends_nothing_or_books_it(paced: Session) -> None:
    """Every moment of the first milliseconds is a moment to be cancelled in."""

    async def cancelled() -> None:
        for number in range(40):
            task = asyncio.create_task(paced.aask(f"call {number}", model="offline/long:100000"))
            await asyncio.sleep(number * 0.0005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancelled())
    assert server_of(paced).idle(HANG_S)
    assert set() == {billed.status for billed in server_of(paced).billed()} - {"cancelled"}
    assert len(rows(paced)) >= server_of(paced).received()
    assert set(statuses(paced)) <= {"interrupted"}
