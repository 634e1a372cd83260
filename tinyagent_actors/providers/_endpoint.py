"""From a model and its options to a URL and headers. No I/O; the environment is passed in and never written."""

from __future__ import annotations

import inspect
import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import SplitResult, urlsplit

import attrs

from tinyagent_actors._errors import ProviderError, SpecError
from tinyagent_actors.messages import Model
from tinyagent_actors.providers._anthropic_table import (
    ANTHROPIC_API,
    ANTHROPIC_PROVIDERS,
    messages_credentials,
    messages_path,
)
from tinyagent_actors.providers._options import StreamOptions, check_headers, is_header_value
from tinyagent_actors.providers._provider_table import AZURE_HOSTS, PRIVATE_SUFFIXES, PROVIDERS, ProviderFacts

_BASE_HEADERS: Final = {
    "accept": "text/event-stream",
    "accept-encoding": "identity",
    "content-type": "application/json",
    "user-agent": "tinyagent-actors",
}
_CREDENTIAL_HEADERS: Final = ("authorization", "api-key", "x-api-key")
_COMPLETIONS: Final = "/chat/completions"


def _without_query(url: str) -> str:
    return repr(url.partition("?")[0])


@attrs.frozen
class Endpoint:
    """Where a request goes and what it says of the sender. Its repr holds no header and no query."""

    url: str = attrs.field(repr=_without_query)
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    """Names in lower case, each once."""


@attrs.frozen
class _Location:
    """A URL that was looked at."""

    url: str
    host: str
    is_private: bool


def resolve_endpoint(
    model: Model, options: StreamOptions, key: str | None, environ: Mapping[str, str], base_url: str | None = None
) -> Endpoint:
    """Give the endpoint of a request.

    Args:
        model: Its `base_url` goes before the environment's, and that before what is known of the model or its provider.
        options: Its headers win over the model's.
        key: What `find_key` gave.
        environ: The environment.
        base_url: Where this model is served, if that is known.

    Raises:
        SpecError: The base URL or a header is wrong, or nothing says where the provider lives.
        ProviderError: Kind `auth`: a key is needed and there is none that can be sent.
    """
    facts = _facts_of(model)
    location = _locate(*_base_url(model, facts, environ, base_url), model.api)
    check_headers("Model.headers", model.headers)
    headers = dict(_BASE_HEADERS)
    for given in (model.headers, options.headers or {}):
        headers.update((name.lower(), value) for name, value in given.items())
    if not any(name in headers for name in _CREDENTIAL_HEADERS):
        headers.update(_credentials(model, facts, location, key, environ))
    return Endpoint(location.url, tuple(headers.items()))


async def find_key(model: Model, options: StreamOptions, environ: Mapping[str, str]) -> str | None:
    """Give the key: the option's, or what its function gives, else the environment's by provider; None without one.

    A checkpoint only if the function is awaitable; cancelling leaves nothing behind.
    """
    given = options.api_key
    if callable(given):
        answer = given(model.provider)
        given = await answer if inspect.isawaitable(answer) else answer
    if given is not None and not isinstance(given, str):
        raise SpecError("StreamOptions.api_key", f"the callable gave a {type(given).__name__}, not a string")
    if given and given.strip():
        return given.strip()
    for name in _key_names(model):
        value = environ.get(name, "").strip()
        if value:
            return value
    return None


def _facts_of(model: Model) -> ProviderFacts | None:
    facts = ANTHROPIC_PROVIDERS.get(model.provider) if model.api == ANTHROPIC_API else None
    return facts or PROVIDERS.get(model.provider)


def _key_names(model: Model) -> tuple[str, ...]:
    facts = _facts_of(model)
    return (facts.key_names if facts is not None else ()) or (f"{_variable(model.provider)}_API_KEY",)


def _variable(provider: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in provider.upper())


def _base_url(
    model: Model, facts: ProviderFacts | None, environ: Mapping[str, str], known: str | None
) -> tuple[str, str]:
    """Give the base URL and what to call it in an error."""
    if model.base_url and model.base_url.strip():
        return model.base_url.strip(), "Model.base_url"
    variable = f"{_variable(model.provider)}_BASE_URL"
    from_environment = environ.get(variable, "").strip()
    if from_environment:
        return from_environment, variable
    if known is not None:
        return known, "base_url of the data file"
    if facts is None or facts.base_url is None:
        raise SpecError("Model.base_url", f"must be given (or {variable}): nobody knows where {model.provider!r} lives")
    return facts.base_url, "Model.base_url"


@lru_cache(maxsize=256)
def _locate(base_url: str, field: str, api: str) -> _Location:
    parts = _split(base_url, field)
    path = parts.path.rstrip("/")
    if api == ANTHROPIC_API:
        path = messages_path(path)
    elif not path.endswith(_COMPLETIONS):
        path += _COMPLETIONS
    host = (parts.hostname or "").lower()
    return _Location(parts._replace(path=path, fragment="").geturl(), host, is_private_host(host))


def _split(base_url: str, field: str) -> SplitResult:
    # No part of the URL stands in an error: it may hold a password.
    if not base_url.isascii() or any(character <= " " for character in base_url):
        raise SpecError(field, "holds characters that a URL cannot hold")
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        raise SpecError(field, "is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise SpecError(field, "must be an http or https URL with a host")
    if parts.username is not None:
        raise SpecError(field, "must not hold a user name or password; use a key or headers")
    return parts


def is_loopback_host(host: str) -> bool:
    """Whether `host` is this machine, judged by its name alone."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_private_host(host: str) -> bool:
    """Whether `host` is this machine or in a private network, judged by its name alone."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(PRIVATE_SUFFIXES)
    return not (getattr(address, "ipv4_mapped", None) or address).is_global


def _credentials(
    model: Model, facts: ProviderFacts | None, location: _Location, key: str | None, environ: Mapping[str, str]
) -> dict[str, str]:
    if key is None:
        if location.is_private:
            return {}
        names = " or ".join(_key_names(model))
        raise ProviderError("auth", f"no key for {model.provider!r}: give StreamOptions.api_key, or set {names}")
    if not is_header_value(key):
        raise ProviderError("auth", f"the key for {model.provider!r} holds characters that a header cannot carry")
    if model.api == ANTHROPIC_API:
        return messages_credentials(facts, key, environ)
    by_header = (facts is not None and facts.auth == "api-key") or location.host.endswith(AZURE_HOSTS)
    # Entra tokens are JSON Web Tokens and go as Bearer even there.
    if by_header and not key.startswith("eyJ"):
        return {"api-key": key}
    return {"authorization": f"Bearer {key}"}
