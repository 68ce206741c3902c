"""``orm.replies``: what was answered lately, by whom and for how much; bounded, inert, and without a stream in it."""

from __future__ import annotations

import contextlib
import gc
import tracemalloc
import weakref
from dataclasses import replace
from decimal import Decimal

import pytest

import or_magic
from or_magic import api
from or_magic.api import Session
from or_magic.charges import charge, charges, cost
from or_magic.content import Audio, Image, ParsedFile, Text
from or_magic.engine.replies import Replies, size_of
from or_magic.errors import OrMagicError
from or_magic.notebook.words import receipt
from or_magic.offline import serve
from or_magic.setting_kinds import parse_locals
from or_magic.values import Reply, Total, Usage

from ..features.inert import skeleton
from ..protocol.payloads import payloads
from ..world.kit import dead_port

MIB = 2**20


def reply(text: str = "words", *, cost: str | None = "0.25", gateway: str = "openrouter", **said: object) -> Reply:
    usage = Usage(cost_usd=None if cost is None else Decimal(cost))
    told: dict[str, object] = {"parts": (Text(text),), "usage": usage, "status": "ok", "model": "a/b", **said}
    return Reply(gateway=gateway, **told)  # type: ignore[arg-type]


def picture(size_bytes: int) -> Reply:
    return reply(parts=(Image(data=bytes(size_bytes)),))


def test_every_answer_is_kept_newest_last(offline: Session) -> None:
    """Of ask and of stream, whole and partial; a call that was not sent has none."""
    assert [] == list(offline.replies)
    first = offline.ask("one", model="offline/echo")
    with offline.stream("two", model="offline/echo") as stream:
        for _ in stream:
            pass
    for model in ("offline/cut", "offline/error-401"):
        with pytest.raises(OrMagicError):
            offline.ask("three", model=model)
    with pytest.raises(OrMagicError):
        offline.ask("four", model="offline/echo", budget=0)
    assert ["one", "two"] == [each.text for each in offline.replies[:2]]
    assert offline.replies[0] is first
    assert ["ok", "ok", "partial", "refused"] == [each.status for each in offline.replies]


def test_what_failed_before_it_ran_cost_nothing_wherever_that_is_told(offline: Session) -> None:
    """The error said "Nothing was billed", the line below the cell that nobody knows, and so did the saved receipt."""
    with pytest.raises(OrMagicError, match="Nothing was billed") as caught:
        offline.ask("one", model="offline/error-503")
    failed = caught.value.reply
    assert ("error", Decimal(0), "nothing billed") == (failed.status, failed.cost_usd, cost(failed))
    assert "0" == receipt(failed)["cost_usd"]
    assert Total(simulated=True) == charge(failed)
    with pytest.raises(OrMagicError) as caught:
        offline.ask("refused", model="offline/error-401")
    assert (Decimal(0), "nothing billed") == (caught.value.reply.cost_usd, cost(caught.value.reply))
    nowhere = {"lost": f"http://127.0.0.1:{dead_port()}/v1"}
    offline.engine.settings = replace(offline.engine.settings, retries=0, local=parse_locals(nowhere))
    with pytest.raises(OrMagicError, match="Nothing was sent") as caught:
        offline.ask("two", model="local:lost")
    assert (Decimal(0), "$0 local") == (caught.value.reply.cost_usd, cost(caught.value.reply))
    with pytest.raises(OrMagicError) as caught:
        offline.ask("three", model="offline/mid-stream-error")
    assert "cost not known yet" == cost(caught.value.reply)


def test_an_answer_of_a_local_server_that_tells_no_usage_cost_nothing(offline: Session) -> None:
    """Many do not tell it; that they bill nothing is known."""
    with serve(local="mine", fault="offline/usage-missing") as server:
        local = parse_locals({"mine": f"{server.url.removesuffix('/v1')}/v1"})
        offline.engine.settings = replace(offline.engine.settings, local=local)
        reply = offline.ask("Hello", model="local:mine")
    assert ("ok", Decimal(0), "$0 local") == (reply.status, reply.cost_usd, cost(reply))


def test_a_stream_that_was_closed_early_leaves_what_came(offline: Session) -> None:
    """It was paid for; one that was never begun was not sent."""
    with contextlib.closing(offline.stream("hi", model="offline/long:1000")) as stream:
        for _ in zip(range(5), stream, strict=False):
            pass
    offline.stream("hi", model="offline/echo").close()
    assert ["interrupted"] == [each.status for each in offline.replies]


def test_a_reply_keeps_no_stream_alive(offline: Session) -> None:
    """A stream holds a connection."""
    stream = offline.stream("hi", model="offline/echo")
    stream.run()
    seen = weakref.ref(stream)
    del stream
    gc.collect()
    assert seen() is None
    assert 1 == len(offline.replies)


def test_it_is_a_sequence_that_says_where_it_ends() -> None:
    """``replies[-1]`` is what people type, also when nothing was asked."""
    replies = Replies()
    with pytest.raises(IndexError, match="no reply is here yet"):
        replies[-1]
    replies.add(reply("a"))
    replies.add(reply("b"))
    assert "b" == replies[-1].text
    assert ["a", "b"] == [each.text for each in replies[-9:]]
    assert ["b", "a"] == [each.text for each in reversed(replies)]
    with pytest.raises(IndexError, match="2 replies"):
        replies[2]


def test_the_oldest_go_first_and_the_last_one_always_stays() -> None:
    """By number, and by size; one that is too large for all of it is still the last reply."""
    replies = Replies(most=3)
    for number in range(5):
        replies.add(reply(str(number)))
    assert ["2", "3", "4"] == [each.text for each in replies]
    assert "2 older ones were let go of" in repr(replies)
    small = Replies(most_bytes=MIB)
    small.add(reply("old"))
    small.add(picture(2 * MIB))
    assert 1 == len(small)


def test_a_thousand_pictures_take_no_more_than_the_bound() -> None:
    """1,000 answers of 1 MiB each, of which 16 MiB may stay: what is let go of is really free."""
    tracemalloc.start()
    try:
        replies = Replies(most_bytes=16 * MIB)
        for _ in range(1_000):
            replies.add(picture(MIB))
        kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(replies) in (15, 16)
    assert kept_bytes < 17 * MIB
    assert peak_bytes < 18 * MIB


def test_everything_that_is_large_is_counted() -> None:
    """Pictures, sound, and what the gateway read out of a document."""
    data = "x" * 10_000
    annotation = ParsedFile({"type": "file", "file": {"content": [{"type": "image_url", "image_url": {"url": data}}]}})
    for part in (Text(data), Audio(base64=data), Image(data=data.encode()), annotation):
        assert 10_000 <= size_of((part,)) < 11_000


def test_simulated_money_is_never_in_a_sum_with_real_money() -> None:
    """Nor is what nobody knows left out of one; what was refused cost nothing."""
    real, unknown, refused = reply(cost="1"), reply(cost=None), reply(cost=None, status="refused")
    assert "$1.0000 + 1 unknown" == charges([real, unknown, refused])
    assert "$1.0000 + $0.5000 simulated" == charges([real, reply(cost="0.5", gateway="offline")])
    assert "$1.2500" == charges([reply(cost="1", earlier=Total(Decimal("0.25")))])
    assert "$0.0000" == charges([])


def test_it_draws_itself() -> None:
    """Number, model, cost and first words; a long one shows its end, under the numbers that it is asked by."""
    assert "No reply is here yet." == repr(Replies()) == Replies()._repr_html_()
    replies = Replies()
    for number in range(30):
        replies.add(reply(f"answer {number} " + "and more " * 20))
    replies.add(reply(parts=(Image(data=b"1"), Image(data=b"2")), status="partial", cost=None))
    lines = repr(replies).splitlines()
    assert lines[-2].endswith("[2 pictures] [partial]")
    assert "cost not known yet" in lines[-2]
    assert "31 replies · the last 20 are shown · $7.5000 + 1 unknown" == lines[-1]
    assert lines[0].startswith("11  a/b  $0.250000")
    assert all(len(line) < 120 for line in lines)
    assert 20 + 1 == replies._repr_html_().count("<tr>")
    assert ">11</td>" in replies._repr_html_()


@pytest.mark.parametrize("kind", sorted({each.kind for each in payloads()}))
def test_what_models_wrote_is_inert_in_it(kind: str) -> None:
    """Nothing that they say is more than words: no element but those of the table, no letter that acts."""
    calm = Replies()
    calm.add(reply("calm"))
    wanted = {name for name, _ in skeleton(calm._repr_html_())} | {"span", "/span"}
    for payload in payloads():
        if payload.kind == kind:
            replies = Replies()
            replies.add(reply(payload.text, model=payload.text[:200]))
            html = replies._repr_html_()
            assert wanted >= {name for name, _ in skeleton(html)}, payload
            assert all(style in ((), (("style", "text-align:left;vertical-align:top"),), (("style", "opacity:.75"),))
                       for _, style in skeleton(html)), payload  # fmt: skip
            assert "\\" not in html.replace("<span>\\</span>", ""), payload
            assert "$" not in html.replace("<span>$</span>", ""), payload
            assert all(line.isprintable() for line in repr(replies).splitlines()), payload


def test_those_of_a_kernel_outlive_its_gateway(monkeypatch: pytest.MonkeyPatch, home: object) -> None:
    """Who goes to another gateway has not forgotten what the first one said; without the extension nothing is left."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", "offline")
    api.forget_choices()  # a test before this one may have asked in this process
    try:
        api.ask("hello", model="offline/echo")
        api.set_settings(base_url="http://127.0.0.1:1/v1")
        assert ["hello"] == [each.text for each in or_magic.replies]
    finally:
        api.use(None)
        api.forget_choices()
    assert 0 == len(or_magic.replies)
    api.use(None)
