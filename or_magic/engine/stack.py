"""The middleware around each gateway of a session, outermost first: fallback, retry, breaker, rate limit, account."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

from ..events import Send
from ..gateway.http import Gateway
from ..ledger import Ledger
from ..middleware.account import Desk, account
from ..middleware.breaker import Breakers, breaker
from ..middleware.fallback import Elsewhere, fallback
from ..middleware.rate_limit import Limit, Limiter, built_in, rate_limit
from ..middleware.retry import Policy, retry
from ..pricing import estimate_tokens
from ..settings import Settings
from ..values import Request, Row
from .bills import saved
from .compose import is_local
from .gateways import Gateways
from .purse import Purse

_USUAL_ANSWER = 500  # tokens


class Stack:
    """What a session sends through; each call follows the settings as they are when it begins."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        gateways: Gateways,
        ledger: Ledger,
        purse: Purse,
        *,
        session: str,
        settled: Callable[[Row], None],
        stopped: Callable[[], None],
        elsewhere: Callable[[Callable[[str], Send | None]], Elsewhere],
    ) -> None:
        self._settings = settings
        self._gateways = gateways
        self._ledger = ledger
        self._purse = purse
        self._session = session
        self._settled = settled
        self._stopped = stopped
        self._elsewhere = elsewhere(self._local)
        self._lock = threading.Lock()
        self._limiters: dict[str, Limiter] = {}
        self.breakers = Breakers()
        self._main_desk = self._desk(gateways.main)  # once: whose it is, and on which host, is looked up for it

    def send(self) -> Send:
        """Return the Send of a call that begins now."""
        main = self._gateways.main
        return fallback(self._around(main, main.send, self._main_desk), self._elsewhere)

    def limits(self) -> list[str]:
        """Return a line for each limit a minute that counts or holds something."""
        with self._lock:
            limiters = list(self._limiters.values())
        return [line for limiter in limiters for line in limiter.state()]

    def forget_limits(self) -> None:
        """Begin with the limits of the settings as they are now."""
        with self._lock:
            self._limiters.clear()

    def _around(self, gateway: Gateway, send: Send, desk: Desk) -> Send:
        settings = self._settings()
        send = rate_limit(account(send, self._ledger, desk), self._limiter(gateway.name), self._pause)
        if settings.circuit_breaker:
            send = breaker(send, self.breakers, gateway.name)
        return retry(send, self._pause, Policy(attempts=1 + settings.retries))

    def _desk(self, gateway: Gateway) -> Desk:
        purse = self._purse
        return Desk(
            self._session,
            gateway.name,
            fit=purse.fit,
            settled=self._settled,
            limits=purse.limits,
            alert=purse.alert,
            estimate=estimate_tokens,
            stopped=self._stopped,
            saved=lambda request, row, usage: saved(request, row, usage, purse.find),
            load=gateway.load,
        )

    def _local(self, model: str) -> Send | None:
        """Return the Send of ``local:NAME``: it bills nothing, so no budget has to be looked up."""
        if not is_local(model):
            return None
        gateway, send = self._gateways.local(model, self._settings())
        desk = Desk(
            self._session,
            gateway.name,
            fit=lambda request, _: (request, Decimal(0)),
            settled=self._settled,
            estimate=estimate_tokens,
            load=gateway.load,
            free=True,
        )
        return self._around(gateway, send, desk)

    def _limiter(self, gateway: str) -> Limiter:
        with self._lock:
            if gateway not in self._limiters:
                paces = self._settings().rate_limits
                told = {model: Limit(pace.requests, pace.tokens) for model, pace in paces.items()}
                self._limiters[gateway] = Limiter({**built_in(gateway), **told}, _expected_tokens)
            return self._limiters[gateway]

    def _pause(self, request: Request, seconds: float) -> bool:
        return self._gateways.main.brake(request.origin.call_id).pause(seconds)


def _expected_tokens(request: Request) -> int:
    """Return about how many tokens a call will count, its answer included, until it is known."""
    limits = [request.params.get(name) for name in ("max_tokens", "max_completion_tokens")]
    answer = min([limit for limit in limits if isinstance(limit, int)], default=_USUAL_ANSWER)
    return estimate_tokens(request) + answer
