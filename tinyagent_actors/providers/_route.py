"""The way to a host, from what was given and what the environment says: the same for both engines. No I/O.

Names of proxies may be in small letters, which win, or in capitals; `HTTP_PROXY` in capitals counts for nothing where a
web server set it from a request (there is a `REQUEST_METHOD`). An entry of `NO_PROXY` is `*`, an address, a network
(`10.0.0.0/8`), or a domain, which stands for itself and all within it; a port may follow a domain or an address.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

import attrs

from tinyagent_actors._errors import ProviderError
from tinyagent_actors.providers._endpoint import is_loopback_host
from tinyagent_actors.providers._transport import Transport, proxy_url

_NO_PROXY: Final = ("no_proxy", "NO_PROXY")
_PROXIES: Final = {
    "http": ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
    "https": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
}
_ROOTS: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_REST: Final = (*_NO_PROXY, *_ROOTS, "REQUEST_METHOD")
"""What is asked besides, where it can matter."""
_PORTS: Final = {"http": 80, "https": 443}

_Environ: TypeAlias = Mapping[str, str]


@attrs.frozen
class Route:
    """The way to a host. Connections are shared within one."""

    proxy: str | None = attrs.field(default=None, repr=False)
    """Its URL, which may hold a password; None: straight."""
    roots: tuple[str, ...] | None = None
    """Files and folders with the certificates that are trusted, and no others; None: the engine's own."""
    roots_named: str = attrs.field(default="", eq=False)
    """What named them, for an error."""


STRAIGHT: Final = Route()
"""What serves where nothing was said."""


def find_route(url: str, transport: Transport, environ: _Environ) -> Route:
    """Give the route to a URL.

    Raises:
        ProviderError: Kind `connection_error`, not to be tried again: a proxy that the environment names is none. The
            text names the variable, and nothing of its value.
    """
    scheme = url.partition(":")[0].lower()
    told = _read(environ, _PROXIES.get(scheme, ()))
    if (
        told or transport.proxy or scheme == "https"
    ):  # else it goes straight, without certificates: nothing else is asked
        told += _read(environ, _REST)
    return _find(url, transport, told)


def _read(environ: _Environ, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple([(name, value) for name in names if (value := environ.get(name))])


@lru_cache(maxsize=256)
def _find(url: str, transport: Transport, told: tuple[tuple[str, str], ...]) -> Route:
    environ = dict(told)
    parts = urlsplit(url)
    if transport.proxy is None:
        proxy = _proxy_of_environment(parts, environ)
    else:
        proxy = proxy_url(transport.proxy) if transport.proxy else None
    if parts.scheme != "https" and not (proxy or "").startswith("https"):
        return Route(proxy)
    if transport.ca is not None:
        return Route(proxy, (transport.ca,), "Transport.ca")
    folders = environ.get("SSL_CERT_DIR", "").split(os.pathsep)
    roots = tuple(path for path in (environ.get("SSL_CERT_FILE"), *folders) if path)
    named = " and ".join(name for name in _ROOTS if name in environ)
    return Route(proxy, roots, named) if roots else Route(proxy)


def _proxy_of_environment(parts: SplitResult, environ: _Environ) -> str | None:
    host = (parts.hostname or "").lower()
    names = [
        name
        for name in _PROXIES[parts.scheme]
        if environ.get(name, "").strip() and not (name == "HTTP_PROXY" and "REQUEST_METHOD" in environ)
    ]
    if not names or is_loopback_host(host):
        return None
    exceptions = environ.get(_NO_PROXY[0]) or environ.get(_NO_PROXY[1]) or ""
    if is_excepted(host, parts.port or _PORTS[parts.scheme], exceptions):
        return None
    try:
        return proxy_url(environ[names[0]])
    except ValueError as error:
        raise ProviderError("connection_error", f"{names[0]} {error}", retryable=False) from None


def is_excepted(host: str, port: int, exceptions: str) -> bool:
    """Whether `NO_PROXY` names a host."""
    return any(_names(entry.strip().lower(), host, port) for entry in exceptions.split(","))


def _names(entry: str, host: str, port: int) -> bool:
    if entry in ("", "*"):
        return entry == "*"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name, colon, of_port = entry.rpartition(":")
        if colon and of_port.isdigit():
            if int(of_port) != port:
                return False
            entry = name
        domain = entry.removeprefix("*").removeprefix(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))
    if entry in (f"{host}:{port}", f"[{host}]:{port}", f"[{host}]"):
        return True
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
