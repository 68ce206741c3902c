"""Python hands over anything: each verb says which argument is wrong, what it was given and what it wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from or_magic.api import Session, connect
from or_magic.errors import OrMagicError
from or_magic.options import Options

Wrong = tuple[str, Callable[[Any], Any], str]
# What is called, and a word that its message has beside the wrong value: the parameter, or what it is.
CALLS: tuple[Wrong, ...] = (
    ("chat", lambda s: s.chat(3), "name"),
    ("chat", lambda s: s.chat(None), "name"),
    ("policy", lambda s: s.chat("x", policy=[]), "policy"),
    ("pin", lambda s: s.chat("x").pin("1"), "number"),
    ("pin", lambda s: s.chat("x").pin(None), "number"),
    ("pin", lambda s: s.chat("x").pin(True), "number"),
    ("pinned", lambda s: s.chat("x").pin(1, pinned="no"), "pinned"),
    ("load", lambda s: s.chat("x").load(None), "path"),
    ("load", lambda s: s.chat("x").load(""), "path"),
    ("save", lambda s: s.chat("x").save(3), "path"),
    ("export", lambda s: s.chat("x").export(b"a.md"), "path"),
    ("home", lambda s: s.chat("x").export("~nobody-of-this-name/a.md"), "home"),
    ("chat.ask", lambda s: s.chat("x").ask(None), "prompt"),
    ("chat.stream", lambda s: s.chat("x").stream(3), "prompt"),
    ("ask", lambda s: s.ask(None), "prompt"),
    ("ask", lambda s: s.ask([]), "prompt"),
    ("ask", lambda s: s.ask([None]), "prompt"),
    ("ask", lambda s: s.ask(("a", "b")), "prompt"),
    ("stream", lambda s: s.stream(b"x"), "prompt"),
    ("values", lambda s: s.ask("x", values=3), "values"),
    ("values", lambda s: s.ask("x", values=[("a", 1)]), "values"),
    ("models", lambda s: s.models(3), "query"),
    ("models", lambda s: s.models(None), "query"),
    ("models", lambda s: s.models(context=[]), "context"),
    ("models", lambda s: s.models(max_price=[]), "max_price"),
    ("models", lambda s: s.models(vision="yes"), "vision"),
    ("choose", lambda s: s.choose(task=3), "task"),
    ("choose", lambda s: s.choose("coding", 3), "complexity"),
    ("choose", lambda s: s.choose("coding", free="yes"), "free"),
    ("choose", lambda s: s.choose("coding", prompt=3), "prompt"),
    ("choose", lambda s: s.choose("coding", max_usd=[]), "dollars"),
    ("choose", lambda s: s.choose("coding", rules=3), "table"),
    ("image", lambda s: s.image(None), "prompt"),
    ("image", lambda s: s.image("a", n="many"), "n="),
    ("image", lambda s: s.image("a", references=3), "reference"),
    ("speak", lambda s: s.speak(3), "text"),
    ("transcribe", lambda s: s.transcribe(3), "int"),
    ("transcribe", lambda s: s.transcribe("a.mp3"), "Path"),
    ("replies", lambda s: s.replies["x"], "replies"),
    ("replies", lambda s: s.replies[None], "replies"),
    ("frame", lambda s: s.tracker.frame(since=3), "since"),
    ("total", lambda s: s.tracker.total(since=[]), "since"),
    ("frame", lambda s: s.tracker.frame(all="x"), "all"),
    ("total", lambda s: s.tracker.total(all=None), "all"),
    ("plot", lambda s: s.tracker.plot(all=[]), "all"),
    ("summary", lambda s: s.tracker.summary(all=pd.Series([True, False])), "all"),
    ("summary", lambda s: s.tracker.summary(3), "by"),
    ("summary", lambda s: s.tracker.summary(None), "by"),
    ("summary", lambda s: s.tracker.summary([[]]), "column"),
    ("budget", lambda s: s.tracker.budget(session=[]), "session"),
    ("budget", lambda s: s.tracker.budget(day=float("nan")), "day"),
    ("budget", lambda s: s.tracker.budget(tags={3: 1}), "tag"),
    ("budget", lambda s: s.tracker.budget(tags={"a": None}), "dollars"),
    ("budget", lambda s: s.tracker.budget(tags=3), "tags"),
    ("plot", lambda s: s.tracker.plot(3), "column"),
    ("plot", lambda s: s.tracker.plot(ax=3), "ax"),
    ("receipts", lambda s: s.tracker.receipts(None), "path"),
    ("receipts", lambda s: s.tracker.receipts([]), "path"),
    ("receipts", lambda s: s.tracker.receipts("a.ipynb", reconciled="x"), "reconciled"),
    ("what_if", lambda s: s.tracker.what_if(None), "model"),
    ("what_if", lambda s: s.tracker.what_if([]), "model"),
    ("what_if", lambda s: s.tracker.what_if(""), "model"),
    ("what_if", lambda s: s.tracker.what_if([3]), "model"),
    ("connect", lambda _: connect(model=3), "model"),  # type: ignore[arg-type]
    ("connect", lambda _: connect(home=3), "home"),  # type: ignore[arg-type]
    ("connect", lambda _: connect(base_url=3), "base_url"),  # type: ignore[arg-type]
    ("connect", lambda _: connect(timeouts=3), "timeouts"),  # type: ignore[arg-type]
    ("connect", lambda _: connect(offline="yes"), "offline"),  # type: ignore[arg-type]
    ("connect", lambda _: connect(client=3), "client"),  # type: ignore[arg-type]
    ("connect", lambda _: connect(ledger=3), "ledger"),  # type: ignore[arg-type]
    ("connect", lambda _: connect(pace_s="x"), "pace_s"),  # type: ignore[arg-type]
    ("connect", lambda _: connect(pace_s=float("nan")), "pace_s"),
)


@pytest.mark.parametrize(
    ("call", "word"), [told[1:] for told in CALLS], ids=[f"{n}-{told[0]}" for n, told in enumerate(CALLS)]
)
def test_a_wrong_type_is_named_and_nothing_is_sent(offline: Session, call: Callable[[Any], Any], word: str) -> None:
    """``'<=' not supported between instances`` tells a user nothing, and may come after the bill."""
    with pytest.raises((OrMagicError, TypeError)) as caught:
        call(offline)
    assert word in str(caught.value)
    assert 0 == len(offline.tracker.frame())
    assert () == offline.chat("x").turns


def test_values_expand_only_what_the_user_wrote(offline: Session) -> None:
    """In a list of several texts one may be a file's or a model's: it could read any name, or run any call."""
    stolen = "{{ secret }}"
    with pytest.raises(OrMagicError, match="several"):
        offline.ask(["Sum it up {{ n }} times", stolen], values={"n": 2, "secret": "s3cret"})
    with pytest.raises(OrMagicError, match="several"):
        offline.ask([stolen, "Sum it up"], values={"secret": "s3cret"})
    assert 0 == len(offline.tracker.frame())
    sent = offline.engine.preview(["Sum it up", stolen], Options(), values=None).body["messages"][0]["content"]
    assert stolen in sent
    only = offline.engine.preview(["{{ n }} words:", 7], Options(), values={"n": 2})
    assert "2 words:" in only.body["messages"][0]["content"]
