"""The rules of a conversation, held against a plain model of them by a machine that runs cells in any order."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from or_magic.content import Reasoning, Text
from or_magic.conversation import cut, pin
from or_magic.conversation.exported import headline
from or_magic.conversation.stored import from_json, to_json
from or_magic.engine.chat import Chats
from or_magic.engine.execution import begin
from or_magic.settings import Settings
from or_magic.values import Message, Origin, Reply, Request

OUTCOMES = ("ok", "ok", "ok", "interrupted", "silent", "refused", "unsent")
CELLS = st.sampled_from(["a", "b", "c", "d"])
RUNS = st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=3)
# What was paid: an answer, or a part of one.
PAID = ("ok", "interrupted")


def reply(outcome: str, words: str) -> Reply:
    """Return what a call gives that ends so."""
    if outcome == "ok":
        return Reply((Text(words),), status="ok", model_requested="m")
    if outcome == "interrupted":
        return Reply((Reasoning("hm"), Text(words[:2])), status="interrupted", model_requested="m")
    return Reply(status="refused" if outcome == "refused" else "interrupted", model_requested="m")


def words_of(messages: tuple[Message, ...]) -> list[str]:
    """Return the roles and words of messages."""
    return [m.role + " " + "".join(p.text for p in m.parts if isinstance(p, Text)) for m in messages]


class Rules(RuleBasedStateMachine):
    """The model is a list of dicts; the conversation is asked as the engine asks it."""

    def __init__(self) -> None:
        super().__init__()
        self.chats = Chats(lambda: Settings(base_url="offline"), lambda _: None)
        self.model: list[dict[str, Any]] = []
        self.paid: list[str] = []
        self.gone: set[str] = set()
        self.count = 0

    @rule(cell=CELLS, run=RUNS, anew=st.booleans(), system=st.sampled_from([None, None, "S", "T", ""]))
    def run_a_cell(self, cell: str, run: list[str], anew: bool, system: str | None) -> None:
        """One run of a cell, in a context of its own, as kernels run them; the first turn may begin anew."""
        self.count += 1

        def running() -> None:
            begin(cell, f"request {self.count}")
            for number, outcome in enumerate(run, 1):
                self.ask((cell, number), outcome, anew=anew and number == 1, system=system if number == 1 else None)

        copy_context().run(running)

    @rule(outcome=st.sampled_from(OUTCOMES))
    def append(self, outcome: str) -> None:
        """Python without a cell."""
        self.ask(None, outcome, anew=False, system=None)

    def ask(self, key: tuple[str, int] | None, outcome: str, *, anew: bool, system: str | None) -> None:
        self.count += 1
        question, words = f"q{self.count}", f"answer {self.count}"
        told = () if system is None else (Message("system", (Text(system),)),)
        request = Request("m", (*told, Message("user", (Text(question),))), origin=Origin(chat="x"), anew=anew)
        joined = self.chats.before(request)
        place, own = self.place(key)
        sent, inherited = self.context(place, anew=anew)
        spoken = inherited if system is None else system
        expected = [f"system {spoken}"] if spoken else []
        expected += [line for turn in sent for line in (f"user {turn['question']}", f"assistant {turn['words']}")]
        assert [*expected, f"user {question}"] == words_of(joined.request.messages)
        self.chats.after(joined, reply(outcome, words), sent=outcome != "unsent")
        if outcome in PAID:
            self.paid.append(words)
        if outcome in ("refused", "unsent") or (own and outcome == "silent"):
            return
        if own and self.model[place]["outcome"] == "ok" and outcome == "interrupted":
            self.model[place]["broken"].append(words)
            return
        turn = {
            "key": key, "question": question, "words": words, "outcome": outcome, "system": spoken or None,
            "begins": anew, "stale": False, "pinned": False, "versions": [], "broken": [],
        }  # fmt: skip
        if own:
            before = self.model[place]
            turn["versions"] = [*before["versions"], before["words"], *before["broken"]]
            turn["pinned"] = before["pinned"] and outcome == "ok"
            self.model[place] = turn
        else:
            self.model.insert(place, turn)
        for later in self.model[place + 1 :]:
            if later["begins"]:
                break
            later["stale"] = True

    def place(self, key: tuple[str, int] | None) -> tuple[int, bool]:
        for at, turn in enumerate(self.model):
            if key is not None and turn["key"] == key:
                return at, True
        mine = [at for at, turn in enumerate(self.model) if key and turn["key"] and turn["key"][0] == key[0]
                and turn["key"][1] < key[1]]  # fmt: skip
        return (mine[-1] + 1 if mine else len(self.model)), False

    def context(self, place: int, *, anew: bool) -> tuple[list[dict[str, Any]], str | None]:
        if anew:
            return [], None
        visible: list[dict[str, Any]] = []
        for turn in self.model[:place]:
            visible = [turn] if turn["begins"] else [*visible, turn]
        current = [turn for turn in visible if turn["pinned"] or not turn["stale"]]
        system = current[-1]["system"] if current else None
        return [turn for turn in current if turn["outcome"] == "ok"], system

    @rule()
    def cut(self) -> None:
        """The stale ones go; what began anew still begins anew."""
        self.chats.change("x", cut)
        begins, kept = False, []
        for turn in self.model:
            if turn["stale"] and not turn["pinned"]:
                begins = begins or turn["begins"]
                self.gone |= {turn["words"], *turn["versions"], *turn["broken"]}
            else:
                turn["begins"], begins = turn["begins"] or begins, False
                kept.append(turn)
        self.model = kept

    @rule()
    def save_and_load(self) -> None:
        """Whatever was run in whatever order, its file is the same conversation."""
        conversation = self.chats.get("x")
        loaded = from_json(to_json("x", conversation))
        assert ("x", conversation) == loaded
        self.chats.change("x", lambda _: loaded[1])

    @precondition(lambda self: any(turn["outcome"] == "ok" for turn in self.model))
    @rule(data=st.data(), pinned=st.booleans())
    def pin(self, data: st.DataObject, pinned: bool) -> None:
        """A whole turn may be pinned, and let go."""
        whole = [at for at, turn in enumerate(self.model) if turn["outcome"] == "ok"]
        place = data.draw(st.sampled_from(whole))
        self.chats.change("x", lambda conversation: pin(conversation, place, pinned=pinned))
        self.model[place]["pinned"] = pinned

    @invariant()
    def the_turns_are_those_of_the_model(self) -> None:
        """In their order, with their marks."""
        turns = self.chats.get("x").turns
        names = ("question", "stale", "pinned", "begins")
        assert [(*(t[name] for name in names), len(t["versions"]), len(t["broken"])) for t in self.model] == [
            (t.prompt, t.stale, t.pinned, t.begins, len(t.versions), len(t.broken_off)) for t in turns
        ]

    @invariant()
    def a_whole_answer_is_never_lost_to_a_broken_one(self) -> None:
        """Who interrupts a second run wants the first one back, and paid for it."""
        for turn in self.chats.get("x").turns:
            assert turn.complete or not any(run.complete for run in turn.runs)

    @invariant()
    def runs_are_kept_flat(self) -> None:
        """What a run has replaced is kept once, in the order in which it was asked."""
        for turn in self.chats.get("x").turns:
            assert not any(run.versions or run.broken_off for run in (*turn.versions, *turn.broken_off))
            asked = [int(run.prompt[1:]) for run in turn.runs]
            assert sorted(asked) == asked

    @invariant()
    def what_was_set_aside_is_not_counted_as_sent(self) -> None:
        """``chat list`` says what the next question takes with it."""
        conversation = self.chats.get("x")
        sent, _ = self.context(len(self.model), anew=False)
        words = headline("x", conversation)
        assert len(sent) == len(self.model) or f", {len(sent)} sent with the next question," in words

    @invariant()
    def nothing_paid_is_lost(self) -> None:
        """Running a cell never deletes an answer: it is a turn, a version of one, or was cut on request."""
        held = {run.reply.text for turn in self.chats.get("x").turns for run in turn.runs}
        assert all(words in held or words[:2] in held or words in self.gone for words in self.paid)

    @invariant()
    def keys_are_unique(self) -> None:
        """A turn that is there twice would be answered twice."""
        keys = [turn.key for turn in self.chats.get("x").turns if turn.key is not None]
        assert len(set(keys)) == len(keys)


TestRules = Rules.TestCase
TestRules.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
