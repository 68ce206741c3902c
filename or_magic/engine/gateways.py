"""The gateways of one session: the one it asks, with its simulator if it is that, and local servers by name."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import replace
from math import inf
from numbers import Real
from typing import TYPE_CHECKING, Any

from ..errors import UNSENT, CallError, OptionError, OrMagicError
from ..events import Event, Send
from ..gateway.http import Attribution, Gateway
from ..settings import Settings
from ..values import Request, Timeouts
from .compose import LOCAL, local_name

if TYPE_CHECKING:
    import openai

    from ..offline import Server


class Gateways:
    """Made from settings; ``close`` closes every connection and the simulator."""

    def __init__(self, settings: Settings, client: openai.OpenAI | None, pace_s: float) -> None:
        if not _is_pause(pace_s):
            raise OptionError(f"pace_s={pace_s!r:.60} is not a pause in seconds. Nothing was sent.")
        self.server: Server | None = None
        self._lock = threading.Lock()
        self._locals: dict[str, Gateway] = {}
        base_url = settings.base_url
        if settings.offline:
            from ..offline import serve

            self.server = serve(pace_s=pace_s)
            base_url = self.server.url
        elif client is not None:
            if not hasattr(client, "base_url"):
                raise OptionError(f"client={client!r:.60} is not an openai.OpenAI. Nothing was sent.")
            base_url = str(client.base_url).rstrip("/")
        name = replace(settings, base_url=base_url).gateway if client is not None else settings.gateway
        self.main = Gateway(
            name,
            base_url,
            settings.key.secret if settings.key else None,
            attribution=Attribution(settings.app_url, settings.app_name),
            client=client,
            connect_s=settings.timeouts.connect_s,
        )

    def local(self, model: str, settings: Settings) -> tuple[Gateway, Send]:
        """Return the gateway of ``local:NAME`` and the Send that asks it by its own model's name.

        Raises:
            OptionError: the settings know it no longer.
        """
        name, chosen = local_name(model)
        if (server := settings.local.get(name)) is None:
            raise OptionError(f"{model!r} names no local server any more. {UNSENT} Choose another model.")
        with self._lock:
            gateway = self._locals.get(name)
            if gateway is None or gateway.base_url != server.base_url:
                gateway = self._locals[name] = Gateway(
                    f"{LOCAL}{name}",
                    server.base_url,
                    None,
                    connect_s=settings.timeouts.connect_s,
                    brakes=self.main.brakes,
                )

        def send(request: Request) -> Generator[Event, None, None]:
            theirs = chosen or server.model or _first_model(gateway)
            yield from gateway.send(replace(request, model=theirs))

        return gateway, send

    def answers(self, name: str, settings: Settings, timeouts: Timeouts) -> bool:
        """Whether a local server can be asked now; any answer will do."""
        gateway, _ = self.local(f"{LOCAL}{name}", settings)
        try:
            gateway.get("/models", timeouts=timeouts)
        except CallError as error:
            return error.status_code is not None
        return True

    def close(self) -> None:
        """Close every connection that is ours, and the simulator."""
        with self._lock:
            found = [self.main, *self._locals.values()]
        for gateway in found:
            gateway.close()

    def close_server(self) -> None:
        """End the simulator, if there is one."""
        if self.server is not None:
            self.server.close()


def _first_model(gateway: Gateway) -> str:
    """Return the model that a server names first; most have one, and those that cannot be asked may not care."""
    try:
        told: Any = gateway.get("/models")
        return str(told["data"][0]["id"])
    except (OrMagicError, LookupError, TypeError):
        return "default"


def _is_pause(seconds: object) -> bool:
    return isinstance(seconds, Real) and not isinstance(seconds, bool) and 0 <= float(seconds) < inf
