"""The nouns everything else passes around: Message, Request, Usage, Reply, Row, Total. Frozen, stdlib only, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Any, Literal

from .content import Audio, Citation, Image, Part, Reasoning, Text, ToolCall
from .pictures import Pictures
from .sound import Sound
from .tables import Typed, frame

if TYPE_CHECKING:
    import pandas as pd

Role = Literal["system", "user", "assistant", "tool"]
Status = Literal["open", "ok", "partial", "interrupted", "error", "refused", "unknown", "cached"]
CostSource = Literal["billed", "reconciled", "estimated", "unknown", "none"]
Endpoint = Literal["chat", "image", "speech", "transcription"]

# Money has a context of its own: a notebook may have set another precision for its own sums.
_CENT = Decimal("0.01")
EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)


def to_pico(cost_usd: Decimal) -> int:
    """Return whole pico-dollars, rounded half-even: the only rounding money ever gets."""
    return int(cost_usd.scaleb(12, EXACT).to_integral_value(ROUND_HALF_EVEN, EXACT))


def from_pico(cost_pico: int) -> Decimal:
    """Return dollars of whole pico-dollars, exactly."""
    return Decimal(cost_pico).scaleb(-12, EXACT)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: a role and its content parts."""

    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one attempt may take. Comments of the gateway count neither as first token nor as data."""

    connect_s: float = 10.0
    first_token_s: float = 300.0
    idle_s: float = 120.0
    total_s: float = 1800.0


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call comes from and what it belongs to: the bookkeeping that travels with a request."""

    call_id: str = ""
    parent_call_id: str | None = None
    attempt: int = 1
    source: str = "api"
    purpose: str = "answer"
    tag: str | None = None
    chat: str | None = None
    notebook: str | None = None
    cell_id: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """What a gateway has counted of a prompt that this one goes on with: so many tokens for so much text of it."""

    model: str
    tokens: int
    text_bytes: int


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one model. ``params`` are further fields of the request's JSON, as they are sent.

    ``budget_usd`` is the most that all attempts together may cost; ``waived`` sends it past every budget, once.
    ``elsewhere`` are local servers to be asked where the gateway cannot be reached. ``endpoint`` is what it is for:
    an answer, pictures, sound of a text, the text of a sound. ``anew``: its conversation begins with it.
    ``schema`` is what the answer has to be (``or_magic.schema``); None: anything. ``counted`` is what is known of the
    size of its prompt.
    """

    model: str
    messages: tuple[Message, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = True
    origin: Origin = Origin()
    timeouts: Timeouts = Timeouts()
    budget_usd: Decimal | None = None
    waived: bool = False
    elsewhere: tuple[str, ...] = ()
    endpoint: Endpoint = "chat"
    anew: bool = False
    schema: Any = None
    counted: Counted | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer took, as the gateway told it; None is unknown, never 0.

    ``prompt_tokens`` include cached and written ones, ``completion_tokens`` include reasoning (WIRE.md §6).
    ``cost_usd`` is the JSON number as Decimal, never through a float. ``byok``: a provider's key of one's own paid.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    total_tokens: int | None = None
    cost_usd: Decimal | None = None
    upstream_usd: Decimal | None = None
    byok: bool | None = None

    def __or__(self, later: Usage) -> Usage:
        """Return this with what ``later`` knows; a later None undoes nothing."""
        told = {f.name: getattr(later, f.name) for f in fields(later)}
        return replace(self, **{name: value for name, value in told.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Total:
    """Money that is known, money that is estimated, and how many calls cost nobody knows what."""

    billed_usd: Decimal = Decimal(0)
    estimated_usd: Decimal = Decimal(0)
    unknown_calls: int = 0
    simulated: bool = False

    @classmethod
    def of(cls, cost_usd: Decimal | None, source: CostSource) -> Total:
        """Return what one attempt cost."""
        if cost_usd is None:
            return cls(unknown_calls=1)
        return cls(estimated_usd=cost_usd) if source == "estimated" else cls(billed_usd=cost_usd)

    def __bool__(self) -> bool:
        return bool(self.billed_usd or self.estimated_usd or self.unknown_calls)

    def __add__(self, other: Total) -> Total:
        return Total(
            EXACT.add(self.billed_usd, other.billed_usd),
            EXACT.add(self.estimated_usd, other.estimated_usd),
            self.unknown_calls + other.unknown_calls,
            self.simulated or other.simulated,
        )

    def __str__(self) -> str:
        told = dollars(self.billed_usd, digits=4) + " simulated" * self.simulated
        if self.estimated_usd:
            told += f" + ~{dollars(self.estimated_usd, digits=4)} estimated"
        if self.unknown_calls:
            told += f" + {self.unknown_calls} unknown"
        return told

    __repr__ = __str__

    @property
    def at_least(self) -> str:
        """One short figure: the billed money, with ``≥`` where something is missing from it."""
        missing = "≥ " if self.unknown_calls or self.estimated_usd else ""
        short = dollars(self.billed_usd, digits=4)
        # Below a cent every digit counts: the whole must not look smaller than its last part.
        exact = self.billed_usd >= _CENT or Decimal(short[1:]) == self.billed_usd
        return f"{missing}{short if exact else dollars(self.billed_usd)}"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole or partial: its parts in order, what it took, and who really gave it."""

    parts: tuple[Part, ...] = ()
    usage: Usage | None = None
    model: str | None = None
    model_requested: str = ""
    provider: str | None = None
    gateway: str = ""
    finish_reason: str | None = None
    status: Status = "partial"
    id: str | None = None
    call_id: str = ""
    latency_s: float | None = None
    first_token_s: float | None = None
    earlier: Total = Total()  # what the attempts before this answer cost
    saved_usd: Decimal | None = None  # by the provider's cache of prompts; below 0 where writing it cost more
    listed_usd: Decimal | None = None  # what its tokens cost at the catalogue's prices; None where that is not known
    data: Any = field(default=None, hash=False)  # what was asked for with a schema: an instance of it, or plain JSON
    typed: Typed | None = field(default=None, hash=False, repr=False)  # the same as plain JSON, with its schema

    @property
    def text(self) -> str:
        """The words of the answer, without reasoning."""
        return "".join([part.text for part in self.parts if isinstance(part, Text)])

    @property
    def reasoning(self) -> str:
        """What the model thought aloud; empty where it did not."""
        return "".join([part.text for part in self.parts if isinstance(part, Reasoning)])

    @property
    def images(self) -> Pictures:
        """The pictures, in order: ``images[0]`` is a PIL image, ``images.parts[0]`` the part with its bytes."""
        return Pictures(tuple(part for part in self.parts if isinstance(part, Image)))

    @property
    def audio(self) -> Sound | None:
        """The sound, if there is any: bytes with a ``format`` and a ``transcript``."""
        return next((Sound.of(part) for part in self.parts if isinstance(part, Audio)), None)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The pages the answer names, each once."""
        return tuple(part for part in self.parts if isinstance(part, Citation))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The functions the model wants run."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @property
    def cost_usd(self) -> Decimal | None:
        """What was billed, exactly as told, and 0 where there was nothing to bill; None where nobody told it."""
        return self.usage.cost_usd if self.usage else None

    def frame(self) -> pd.DataFrame:
        """Return the typed answer, one row for an object, one for each item of a list.

        Dtypes follow the schema: Int64, float64, boolean, string, datetime64; nested values stay objects.

        Raises:
            TypeError: the answer is not typed.
        """
        if self.typed is None:
            raise TypeError("This reply has no typed data. Ask with schema= (--schema) to get some.")
        return frame(self.typed)

    @property
    def simulated(self) -> bool:
        """Whether the offline simulator, not a model, gave this answer."""
        return self.gateway == "offline"

    def __str__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        from . import neutral  # its patterns take longer to build than all of this module

        if self.typed is None:
            return neutral.markdown(self.text)
        from .outline import outline

        return outline(self.typed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One attempt in the ledger (DESIGN §2). ``row_id`` is unique; ``bound_usd`` is what it may cost at most.

    ``held_usd`` is what it takes of every budget until its cost is known; ``waived`` names the budgets that it was sent
    past; ``prompt_estimate`` is how many tokens our own count gave its prompt. Times begin when the request leaves:
    what is loaded, looked up and written before that is not the answer's.
    """

    row_id: str
    started_at: datetime
    session: str
    user: str | None = None
    notebook: str | None = None
    cell_id: str | None = None
    source: str = "api"
    purpose: str = "answer"
    tag: str | None = None
    chat: str | None = None
    call_id: str
    parent_call_id: str | None = None
    attempt: int = 1
    gateway: str
    model_requested: str
    model: str | None = None
    provider: str | None = None
    status: Status = "open"
    finish_reason: str | None = None
    error: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    total_tokens: int | None = None
    cost_usd: Decimal | None = None
    cost_source: CostSource = "unknown"
    upstream_usd: Decimal | None = None
    saved_usd: Decimal | None = None
    first_token_s: float | None = None
    latency_s: float | None = None
    generation_id: str | None = None
    bound_usd: Decimal | None = None
    host: str = ""
    pid: int = 0
    held_usd: Decimal | None = None
    waived: str | None = None
    prompt_estimate: int | None = None


def dollars(amount_usd: Decimal, digits: int = 6) -> str:
    """Return an amount for people: ``digits`` decimals, more where only zeros would be seen."""
    if amount_usd and amount_usd.adjusted() < -digits:
        digits = min(12, 1 - amount_usd.adjusted())
    shown = amount_usd.quantize(Decimal((0, (1,), -digits)), context=EXACT)
    return f"${EXACT.add(shown, Decimal(0)):,f}"  # the sum has no negative zero
