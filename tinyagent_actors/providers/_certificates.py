"""Whose certificates the httpx engine trusts, and why it does not trust one. The native engine has the same rules in Rust."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path
from typing import Final

import attrs
import httpx

from tinyagent_actors.providers._route import Route

MAX_CONTEXTS: Final = 16
"""Contexts that are kept; the one used longest ago makes room."""
TRUST_NOBODY: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For transports of plain http, which want a context and never use it."""

_REASONS: Final = {
    2: "unknown issuer",
    9: "not valid yet",
    10: "expired",
    18: "unknown issuer",
    19: "unknown issuer",
    20: "unknown issuer",
    21: "unknown issuer",
    23: "revoked",
    62: "wrong host",
    64: "wrong host",
}
"""OpenSSL's numbers of what a verification found, in the words of both engines."""


class UnreadableRootsError(Exception):
    """The trusted certificates cannot be read. Stays inside the engine."""


@attrs.define(eq=False)
class Certificates:
    """The contexts of a transport, one for each set of roots: making one takes tens of milliseconds."""

    _contexts: dict[tuple[str, ...] | None, ssl.SSLContext] = attrs.field(factory=dict, init=False)
    """In order of use, the newest last."""

    def context(self, route: Route) -> ssl.SSLContext:
        """Give the context of a route.

        Raises:
            UnreadableRootsError: A file that was named holds no certificate, or all folders together hold none.
        """
        context = self._contexts.pop(route.roots, None) or _make(route)
        if len(self._contexts) >= MAX_CONTEXTS:
            del self._contexts[next(iter(self._contexts))]
        self._contexts[route.roots] = context
        return context


def _make(route: Route) -> ssl.SSLContext:
    if route.roots is None:
        return httpx.create_ssl_context(trust_env=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        for path in map(Path, route.roots):
            if path.is_dir():
                for file in path.iterdir():
                    # What else lies there is nobody's fault.
                    with contextlib.suppress(OSError):
                        context.load_verify_locations(cafile=file)
            else:
                context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise UnreadableRootsError(f"{route.roots_named}: {path} holds no certificate, or is damaged") from None
    except OSError as error:
        raise UnreadableRootsError(f"{route.roots_named}: {path}: {error.strerror}") from None
    if not context.cert_store_stats()["x509"]:
        raise UnreadableRootsError(f"{route.roots_named}: there is no certificate")
    return context


def distrust(error: BaseException) -> str | None:
    """Why a certificate was not trusted, if that is what an error comes from."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _REASONS.get(cause.verify_code) or cause.verify_message
        cause = cause.__cause__ or cause.__context__
    return None
