"""The HTTP transport under openai's client: pooled, bounded by Deadlines, and the only place that spells the key.

The key joins the headers here, below the client, so that neither the client, nor a request, nor an exception,
nor a debug log ever holds it.
"""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import unquote, urlsplit

import httpcore2
import httpx2

from ..addresses import is_loopback
from ..errors import SettingsError
from ..secrets import Secret
from .deadlines import LimitedBackend

# What leaves this side. The client adds more: this machine's system, another service's account, headers from its own
# environment variables, and a placeholder for the key.
_OURS = frozenset({
    b"accept", b"accept-encoding", b"connection", b"content-length", b"content-type", b"host", b"http-referer",
    b"transfer-encoding", b"user-agent", b"x-openrouter-title",
})  # fmt: skip
_UNSENT = (httpcore2.ConnectError, httpcore2.LocalProtocolError, httpcore2.ProxyError, httpcore2.PoolTimeout)
_FAILURES = (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ProxyError)


class Transport(httpx2.BaseTransport):
    """Sends requests over pooled connections; ``key`` goes to ``host`` alone."""

    def __init__(self, base_url: str, key: Callable[[], Secret | None]) -> None:
        self._host = httpx2.URL(base_url).netloc
        self._key = key
        self._pool = _pool(base_url)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request and return its response, body unread.

        Raises:
            httpx2.ConnectError, httpx2.ConnectTimeout: no byte of the request was sent.
            httpx2.ReadError: it may have been sent.
        """
        url = request.url
        sent = httpcore2.Request(
            request.method,
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=self._headers(request),
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            response = self._pool.handle_request(sent)
        except httpcore2.ConnectTimeout as error:
            raise httpx2.ConnectTimeout(str(error)) from None
        except _UNSENT as error:
            raise httpx2.ConnectError(str(error)) from None
        except _FAILURES as error:
            raise httpx2.ReadError(str(error)) from None
        # The client would keep cookies for ever, and stumble over odd ones.
        headers = [(name, value) for name, value in response.headers if name.lower() != b"set-cookie"]
        return httpx2.Response(response.status, headers=headers, stream=_Body(response), extensions=response.extensions)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def _headers(self, request: httpx2.Request) -> list[tuple[bytes, bytes]]:
        headers = [(name, value) for name, value in request.headers.raw if name.lower() in _OURS]
        key = self._key()
        if key is not None and request.url.netloc == self._host:
            headers.append((b"Authorization", b"Bearer " + key.reveal().encode("utf-8", "replace")))
        return headers


class _Body(httpx2.SyncByteStream):
    """The response's body; closing it before its end closes the connection, after its end keeps it."""

    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_stream()
        except _FAILURES as error:
            raise httpx2.ReadError(str(error)) from None

    def close(self) -> None:
        self._response.close()


def _pool(base_url: str) -> httpcore2.ConnectionPool:
    return httpcore2.ConnectionPool(
        ssl_context=_ssl_context() if base_url.startswith("https") else None,
        proxy=_proxy_of(base_url),
        max_connections=None,  # waiting for a connection would be a limit nobody set
        max_keepalive_connections=256,
        keepalive_expiry=60.0,
        network_backend=LimitedBackend(),
    )


def _ssl_context() -> ssl.SSLContext:
    try:
        return httpx2.create_ssl_context()
    except OSError as error:  # it says neither which file that is nor who names it
        raise SettingsError(
            f"The certificates cannot be read: {error.strerror or error}. Nothing was sent. SSL_CERT_FILE "
            "and SSL_CERT_DIR say where they are: correct or unset them (%or doctor)."
        ) from None


def _proxy_of(base_url: str) -> httpcore2.Proxy | None:
    """Return the proxy that the environment names for this address."""
    address = urlsplit(base_url)
    # What is on this machine is never asked through another one: the simulator must work behind a company's proxy.
    if not address.hostname or is_loopback(address.hostname) or urllib.request.proxy_bypass(address.hostname):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get(address.scheme) or proxies.get("all")
    if not found:
        return None
    proxy = urlsplit(found if "://" in found else f"http://{found}")
    bare = proxy._replace(netloc=proxy.netloc.rpartition("@")[2]).geturl()
    auth = (unquote(proxy.username), unquote(proxy.password or "")) if proxy.username else None
    return httpcore2.Proxy(bare, auth=auth)
