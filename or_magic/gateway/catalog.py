"""The catalogue of models and prices: asked once, kept on disk with its date; the bundled dated one otherwise."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import OrMagicError
from ..pricing import Prices, parse_prices
from ..private_folder import make_private_folder

BUNDLED = "models-2026-05-01.json"
FRESH = timedelta(hours=24)
# They change how a request is routed, not which model it is (WIRE.md §2).
_ROUTING = re.compile(r":(nitro|floor|exacto|online)$")


@dataclass(frozen=True, slots=True)
class Model:
    """One entry: prices and limits are those of the top provider (WIRE.md §8); None is unknown.

    ``created`` is when it was listed, in seconds; ``benchmarks`` are indices by name, the higher the better.
    """

    id: str
    name: str
    canonical: str
    prices: Prices
    context_tokens: int | None = None
    max_completion_tokens: int | None = None
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    supported: tuple[str, ...] = ()
    expires: str | None = None
    created: int | None = None
    benchmarks: Mapping[str, float] = field(default_factory=dict)

    @property
    def vendor(self) -> str:
        """Who makes it."""
        return self.id.partition("/")[0]

    @property
    def is_router(self) -> bool:
        """Whether it hands the call to another model."""
        return self.vendor == "openrouter"

    @property
    def is_alias(self) -> bool:
        """Whether it stands for whichever model is the latest of its family."""
        return self.id.startswith("~")

    @property
    def is_free(self) -> bool:
        """Whether it bills nothing; such models have limits of their own."""
        return self.prices.known() and not any(self.prices.usd.values())

    @property
    def is_expiring(self) -> bool:
        """Whether the catalogue has a last day for it."""
        return self.expires is not None

    def is_gone(self, today: date) -> bool:
        """Whether its last day is over."""
        return self.expires is not None and self.expires[:10] < today.isoformat()


@dataclass(frozen=True, slots=True)
class Models:
    """All models of one date, found by id, canonical slug or alias."""

    date: datetime
    source: str
    entries: tuple[Model, ...]
    _by_name: Mapping[str, Model] = field(default_factory=dict, repr=False)

    def find(self, name: str) -> Model | None:
        """Return the model that ``name`` means, or None: catalogues lag behind, so that says little."""
        return self._by_name.get(name) or self._by_name.get(_ROUTING.sub("", name))

    def closest(self, name: str, most: int = 3) -> tuple[str, ...]:
        """Return the ids that look most like ``name``."""
        ids = [model.id for model in self.entries]
        by_slug = {model_id.rpartition("/")[2]: model_id for model_id in ids}
        near = difflib.get_close_matches(name, ids, most, 0.6)
        slugs = difflib.get_close_matches(name.rpartition("/")[2], by_slug, most, 0.6)
        return tuple(dict.fromkeys([*near, *(by_slug[slug] for slug in slugs)]))[:most]


class Catalog:
    """The models known now; ``refresh`` asks the gateway through ``fetch`` and writes ``path``."""

    def __init__(
        self, path: Path, fetch: Callable[[], Any], now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._path = path
        self._fetch = fetch
        self._now = now
        self._lock = threading.Lock()
        self._models: Models | None = None

    def models(self) -> Models:
        """Return what is known without asking anybody: the file on disk, else the bundled catalogue."""
        with self._lock:
            if self._models is None:
                self._models = _from_disk(self._path) or bundled()
            return self._models

    def same(self, name: str, other: str) -> bool:
        """Whether both mean the same model: an id, its alias, and the dated name that an answer carries."""
        model = self.models().find(name)
        return name == other or (model is not None and model is self.models().find(other))

    def refresh(self, *, force: bool = False) -> Models:
        """Ask the gateway if what is known is older than a day; what is known stays if it cannot be had."""
        known = self.models()
        if not force and self._now() - known.date < FRESH:
            return known
        try:
            body = self._fetch()
            found = parse_models(body, self._now(), "live")
        except OrMagicError:
            return known
        if not found.entries:
            return known
        with self._lock:
            self._models = found
        _to_disk(self._path, found.date, body)
        return found


def bundled() -> Models:
    """Return the dated catalogue that ships with the package."""
    told = json.loads(resources.files("or_magic.data").joinpath(BUNDLED).read_bytes())
    return parse_models(told, datetime.fromisoformat(told["date"]).replace(tzinfo=UTC), f"bundled {told['date']}")


def parse_models(body: Any, date: datetime, source: str) -> Models:
    """Return the models of a ``GET /models`` body; an entry without an id is passed over."""
    items = body.get("data") if isinstance(body, Mapping) else None
    told = [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
    entries = tuple(_model(item) for item in told if isinstance(item.get("id"), str))
    return Models(date, source, entries, _index(entries, told))


def _model(item: Mapping[str, Any]) -> Model:
    architecture, top = (_mapping(item.get(name)) for name in ("architecture", "top_provider"))
    return Model(
        id=item["id"],
        name=str(item.get("name") or item["id"]),
        canonical=str(item.get("canonical_slug") or item["id"]),
        prices=parse_prices(_mapping(item.get("pricing"))),
        context_tokens=_count(item.get("context_length")),
        max_completion_tokens=_count(top.get("max_completion_tokens")),
        input_modalities=_words(architecture.get("input_modalities")),
        output_modalities=_words(architecture.get("output_modalities")),
        supported=_words(item.get("supported_parameters")),
        expires=item.get("expiration_date") if isinstance(item.get("expiration_date"), str) else None,
        created=_count(item.get("created")),
        benchmarks=_numbers(_mapping(_mapping(item.get("benchmarks")).get("artificial_analysis"))),
    )


def _index(entries: Iterable[Model], told: Iterable[Mapping[str, Any]]) -> dict[str, Model]:
    entries = tuple(entries)
    # An id wins over a canonical slug: several variants share one slug, and it is told without its variant.
    found = {model.canonical: model for model in reversed(entries)} | {model.id: model for model in entries}
    for item in told:
        target = _mapping(item.get("alias_target")).get("slug")
        if item.get("id") in found and isinstance(target, str):
            found[item["id"]] = found.get(target, found[item["id"]])
    return found


def _from_disk(path: Path) -> Models | None:
    try:
        told = json.loads(path.read_bytes())
        return parse_models(told["body"], datetime.fromisoformat(told["date"]), "on disk")
    except (OSError, ValueError, KeyError, TypeError):  # no file, or a broken one: it is only a copy
        return None


def _to_disk(path: Path, date: datetime, body: Any) -> None:
    written = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    text = json.dumps({"date": date.isoformat(), "body": body}, default=str)
    with contextlib.suppress(OSError):  # asked again next time
        make_private_folder(path.parent)
        try:
            # Whatever the umask: beside it lie the books. A link in its place is not followed.
            with os.fdopen(
                os.open(written, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(text)
            written.replace(path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _numbers(told: Mapping[str, Any]) -> Mapping[str, float]:
    return {
        name: float(value)
        for name, value in told.items()
        if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    }


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, list) else ()
