"""Transport: how the connections of a stream are made. Values only; a wrong one is refused where it is written."""

from __future__ import annotations

import os
import re
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs

from tinyagent_actors._errors import SpecError

Proxy: TypeAlias = str | Literal[False] | None
"""A URL; False: none, whatever the environment says; None: the environment's."""

_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_SCHEMES: Final = ("http", "https")


def proxy_url(text: str) -> str:
    """Give the URL of a proxy as both engines take it: scheme, credentials, host and port; ``http`` if none is said.

    Raises:
        ValueError: It is none. The text repeats no part of it, for it may hold a password.
    """
    text = text.strip()
    text = text if "://" in text else f"http://{text}"
    if not text.isascii() or any(character <= " " for character in text):
        raise ValueError("is not a URL")
    try:
        parts = urlsplit(text)
        is_whole = parts.port != 0 and _HOST.fullmatch(parts.hostname or "") is not None
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError("is not a URL")
    if parts.scheme not in _SCHEMES:
        raise ValueError("is a proxy of a kind that is not supported: its URL must begin with http:// or https://")
    return f"{parts.scheme}://{parts.netloc}"


def _check_ca(_: Transport, __: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value or "\0" in value):
        raise SpecError("Transport.ca", f"must be the path of a file or a folder, is {value!r}")


def _check_proxy(_: Transport, __: attrs.Attribute[Any], value: object) -> None:
    if value is None or value is False:
        return
    if not isinstance(value, str):
        raise SpecError("Transport.proxy", f"must be a URL, False or None, is {type(value).__name__}")
    try:
        proxy_url(value)
    except ValueError as error:
        raise SpecError("Transport.proxy", str(error)) from None


def _to_path(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _without_credentials(proxy: Proxy) -> str:
    if not isinstance(proxy, str):
        return repr(proxy)
    scheme, _, rest = proxy.rpartition("://")
    return repr(f"{scheme or 'http'}://{rest.rpartition('@')[2]}")


@attrs.frozen
class Transport:
    """How the connections of a stream are made. Streams of equal ones share their connections."""

    ca: str | None = attrs.field(default=None, converter=_to_path, validator=_check_ca)
    """A PEM file, or a folder of them: the certificates that are trusted, and no others. It is read when the first
    connection needs it. None: `SSL_CERT_FILE` and `SSL_CERT_DIR`, else those that come with the engine."""
    proxy: Proxy = attrs.field(default=None, repr=_without_credentials, validator=_check_proxy)
    """The URL of a proxy that everything goes through, also to this machine; it may hold a user and a password. None: what
    `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, and never for this machine. False: none."""
