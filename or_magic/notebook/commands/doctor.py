"""``%or doctor``: what works and what does not, a line each; it costs nothing, shows no secret and never fails."""

from __future__ import annotations

import os
import stat
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from ... import neutral
from ...addresses import is_loopback, without_password
from ...budget import amount
from ...config_file import FILE_NAME
from ...errors import CallError, KeyRefusedError, LedgerError, OrMagicError, RefusedError
from ...secrets import WHERE_KEYS_GO
from .command import Command, say
from .keys import ASKING, ODD, source_of

if TYPE_CHECKING:
    from ...engine.session import Engine
    from ..face import Face

_OLD_DAYS = 7  # for a catalogue
_SOON_DAYS = 30  # for a model that ends
# Below these, something is unsafe or does not work. They are looked up, never imported.
_SAFE = {
    "jupyterlab": ("4.5.7", "in older ones a click on an answer can run commands of the front end (CVE-2026-42557)"),
    "ipykernel": ("6.29", "older ones were never tried"),
}
_READ, _ENTER = stat.S_IRGRP | stat.S_IROTH, stat.S_IXGRP | stat.S_IXOTH  # by others than the owner
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OURS = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class Finding(NamedTuple):
    """One line: ✓ works, ! look at it, ✗ does not work."""

    mark: Literal["✓", "!", "✗"]
    what: str
    told: str


Findings = Iterator[Finding]


def doctor(face: Face, _rest: str) -> None:
    """Print the findings of every check."""
    lines = [f"{mark} {what:<13}{' '.join(told.split())}" for mark, what, told in examine(face)]
    say(without_password("\n".join(lines)))


def examine(face: Face) -> Findings:
    """Yield what every check finds; a check that fails is a finding, too."""
    checks: list[tuple[str, Callable[[], Findings]]] = []
    try:
        engine = face.session().engine
    except OrMagicError as error:
        yield Finding("✗", "settings", str(error))
    else:
        checks = [(name, partial(check, engine)) for name, check in _OF_SESSION.items()]
    checks += [*_OF_MACHINE.items(), ("history", partial(_history, face))]
    for name, check in checks:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 - a broken machine is what this command is for
            yield Finding("✗", name, f"could not be looked at ({type(error).__name__})")


def _key_and_gateway(engine: Engine) -> Findings:
    settings, name = engine.settings, engine.gateway.name
    if engine.simulated:
        why = "" if settings.sources.get("base_url") != "no key" else f" for want of a key. {WHERE_KEYS_GO}"
        yield Finding("!" if why else "✓", "key", "none, and the simulator needs none")
        yield Finding("✓", "gateway", f"the offline simulator answers{why}")
        return
    begun = time.perf_counter()
    refusal: CallError | None = None
    try:
        engine.balance(ASKING)
    except CallError as error:
        refusal = error
    taken_s = time.perf_counter() - begun
    yield _key(engine, refusal)
    if refusal is None or isinstance(refusal, RefusedError):
        yield Finding("✓", "gateway", f"{name} answered in {taken_s:.2f} s")
    else:
        yield Finding("✗", "gateway", f"{name}: {refusal.happened}")
    if refusal is None:
        yield from _charges(engine)
    if name != "openrouter" and settings.key is not None:
        source = settings.sources.get("base_url", "the defaults")
        yield Finding("!", "gateway", f"the key goes to {name}, which is not OpenRouter; the address is from {source}")


def _key(engine: Engine, refusal: CallError | None) -> Finding:
    key = engine.settings.key
    if key is None:
        return Finding("✓", "key", f"none; {engine.gateway.name} is asked without one")
    told = f"{source_of(engine.settings)}"
    if isinstance(refusal, KeyRefusedError):
        return Finding("✗", "key", f"{told}; it is not accepted. %or key --set asks for another")
    odd = f". {ODD}" if key.secret.looks_odd() else ""
    if refusal is not None:
        return Finding("!", "key", f"{told}; whether it is accepted is not known{odd}")
    return Finding("!" if odd else "✓", "key", f"{told}; it is accepted{odd}")


def _charges(engine: Engine) -> Findings:
    """Yield whether the key was charged what the ledger says; nothing before the session's first call."""
    if (found := engine.key_watch.compare()) is not None:
        yield Finding("✓" if found.word == "agrees" else "!", "charges", str(found))


def _catalogue(engine: Engine) -> Findings:
    models = engine.catalog.models()
    days = (datetime.now(UTC) - models.date).days
    told = f"{len(models.entries)} models of {models.date.date().isoformat()} ({models.source})"
    old = days > _OLD_DAYS and engine.gateway.name == "openrouter"
    yield Finding("!" if old else "✓", "catalogue", f"{told}; %or models asks for a newer one" if old else told)


def _model(engine: Engine) -> Findings:
    settings, models = engine.settings, engine.catalog.models()
    model = settings.resolve(None)
    alias = f" (alias {settings.model})" if model != settings.model else ""
    found = models.find(model)
    if found is not None:
        ends = _day(found.expires)
        if ends is None:
            yield Finding("✓", "model", f"{model}{alias} is in the catalogue")
            return
        days = (ends - datetime.now(UTC).date()).days
        told = f"{model}{alias} {'ended' if days < 0 else 'ends'} on {ends.isoformat()}"
        yield Finding("✗" if days < 0 else "!" if days <= _SOON_DAYS else "✓", "model", told)
    elif models.source.startswith("bundled") and engine.gateway.name not in ("openrouter", "offline"):
        yield Finding("!", "model", f"{model}{alias}: which models {engine.gateway.name} has is not known here")
    else:
        near = models.closest(model)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        yield Finding("!", "model", f"{model}{alias} is not in the catalogue (it may lag behind).{hint}")


def _ledger(engine: Engine) -> Findings:
    from ...features.report import counted

    ledger = engine.ledger
    try:
        ledger.version()
        obstacle = ledger.obstacle()
        running, unknown = len(ledger.unsettled()), len(ledger.pending(engine.gateway.name))
    except LedgerError as error:
        yield Finding("✗", "ledger", str(error))
    else:
        yield Finding("✗" if obstacle else "✓", "ledger", f"{ledger.place} {obstacle or 'can be written'}")
        if running:
            yield Finding("!", "ledger", f"open now, running or left by a crash: {counted(running, 'call')}")
        if unknown:
            yield Finding("!", "ledger", f"what {counted(unknown, 'call')} cost is not known; %or reconcile asks")
    if waiting := ledger.waiting():
        entries = "1 entry waits" if waiting == 1 else f"{waiting:,} entries wait"
        yield Finding("!", "ledger", f"{entries} beside it until it can be written")


def _budgets(engine: Engine) -> Findings:
    try:
        standings = engine.standings()
    except LedgerError:  # the check of the ledger says so
        return
    for standing in standings:
        money = f"{amount(standing.spent_usd)} of {amount(standing.limit.usd)}{' simulated' * engine.simulated}"
        share = f"{money} spent, {amount(standing.held_usd)} held"
        mark: Literal["!", "✓"] = "!" if standing.alerting or standing.left_usd <= 0 else "✓"
        yield Finding(mark, "budget", f"{neutral.line(standing.limit.name)}: {share}")
    if not standings:
        yield Finding("✓", "budget", "none holds; %or budget --day 5 sets one")


def _traffic(engine: Engine) -> Findings:
    circuits, limits = engine.stack.breakers.state(), engine.stack.limits()
    for line in circuits:
        yield Finding("!", "traffic", neutral.line(line))
    for line in limits:
        yield Finding("✓", "traffic", neutral.line(line))
    if not circuits and not limits:
        yield Finding("✓", "traffic", "no circuit is open and no limit a minute counts")


def _local(engine: Engine) -> Findings:
    for name, server in engine.settings.local.items():
        begun = time.perf_counter()
        if engine.gateways.answers(name, engine.settings, ASKING):
            yield Finding("✓", "local", f"{name}: {server.base_url} answered in {time.perf_counter() - begun:.2f} s")
        else:
            yield Finding("!", "local", f"{name}: {server.base_url} does not answer")


def _settings_files(engine: Engine) -> Findings:
    settings = engine.settings
    found = f"{settings.dotenv} is read" if settings.dotenv else "none here or above, up to the folder with .git"
    yield Finding("✓", ".env", found)
    path = settings.home / FILE_NAME
    yield Finding("✓", "config file", f"{path} is read" if path.exists() else f"none; it would be {path}")
    for warning in settings.warnings:
        yield Finding("!", "settings", warning)


def _proxy(engine: Engine) -> Findings:
    host = urlsplit(engine.settings.base_url).hostname
    if engine.simulated or not host or is_loopback(host):
        yield Finding("✓", "proxy", "none is used for this machine itself")
        return
    proxies = urllib.request.getproxies()
    found = proxies.get(urlsplit(engine.settings.base_url).scheme) or proxies.get("all")
    if not found:
        yield Finding("✓", "proxy", "none is set")
    elif urllib.request.proxy_bypass(host):
        yield Finding("✓", "proxy", f"none for {host}, by no_proxy")
    else:
        # The host alone: the rest may hold a user and a password.
        address = urlsplit(found if "://" in found else f"http://{found}")
        port = f":{address.port}" if address.port else ""
        yield Finding("✓", "proxy", f"{host} is reached through {address.hostname}{port}")


def _versions() -> Findings:
    for name, (least, why) in _SAFE.items():
        with suppress(metadata.PackageNotFoundError):  # not in this environment: nothing to say
            version = metadata.version(name)
            if _numbers(version) < _numbers(least):
                yield Finding("!", "versions", f"{name} {version} is older than {least}: {why}")
            else:
                yield Finding("✓", "versions", f"{name} {version}")


def _certificates() -> Findings:
    told = {name: os.environ[name] for name in _CERTIFICATES if os.environ.get(name)}
    for name, path in told.items():
        used = "" if name in _OURS else " (other libraries read it, or_magic does not)"
        if Path(path).exists():
            yield Finding("✓", "certificates", f"{name} is {path}{used}")
        else:
            yield Finding("✗" if name in _OURS else "!", "certificates", f"{name} is {path}, which is not there{used}")
    if not told:
        yield Finding("✓", "certificates", "the usual ones")


def _history(face: Face) -> Findings:
    history: Any = face.shell.history_manager
    path = Path(str(getattr(history, "hist_file", "") or ":memory:"))
    if os.name != "posix" or not path.is_file():
        return
    if path.stat().st_mode & _READ and all(folder.stat().st_mode & _ENTER for folder in path.parents):
        yield Finding("!", "history", f"IPython keeps every cell in {path}, which others can read: chmod 600 {path}")
    else:
        yield Finding("✓", "history", f"only you can read {path}")


def _day(text: str | None) -> date | None:
    try:
        return datetime.fromisoformat(text).date() if text else None
    except ValueError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """Return a version's leading numbers, to be compared; what follows them decides nothing here."""
    numbers = []
    for word in version.split("."):
        if not word.isdecimal():
            break
        numbers.append(int(word))
    return tuple(numbers)


_OF_SESSION: dict[str, Callable[[Engine], Findings]] = {
    "key": _key_and_gateway,
    "catalogue": _catalogue,
    "model": _model,
    "ledger": _ledger,
    "budget": _budgets,
    "traffic": _traffic,
    "local": _local,
    "settings": _settings_files,
    "proxy": _proxy,
}
_OF_MACHINE: dict[str, Callable[[], Findings]] = {"versions": _versions, "certificates": _certificates}

COMMANDS = {
    "doctor": Command(doctor, "doctor", "what works and what does not: key, gateway, model, ledger, versions, files"),
}
