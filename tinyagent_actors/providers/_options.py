"""StreamOptions: how one model call is made. Values only; a wrong one is refused where it is written."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from tinyagent_actors._errors import SpecError
from tinyagent_actors.messages import THINKING_LEVELS, ThinkingLevel
from tinyagent_actors.providers._capture import Capture, to_capture
from tinyagent_actors.providers._model_table import ModelTable
from tinyagent_actors.providers._transport import Transport

Engine: TypeAlias = Literal["native", "httpx", "alchemy"]
ENGINES: Final[tuple[Engine, ...]] = ("native", "httpx", "alchemy")
ApiKey: TypeAlias = str | Callable[[str], "str | Awaitable[str | None] | None"]
"""A key, or a function that gives the key of the provider it is called with (or None), awaitable or not."""

_FORBIDDEN_HEADERS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "content-type"}
)

_OWN_MEMBERS: Final = frozenset({"model", "messages", "stream", "stream_options", "tools"})
"""Members of a body that say what is asked, not how."""


def _seconds(instance: attrs.AttrsInstance, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (not _is_number(value) or value <= 0):  # type: ignore[operator]  # a number by now
        raise SpecError(_field(instance, attribute), f"must be seconds above 0, or None for no limit, is {value!r}")


def _count(instance: attrs.AttrsInstance, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (type(value) is not int or value < 1):
        raise SpecError(_field(instance, attribute), f"must be a whole number above 0, is {value!r}")


def _instance(kind: type) -> Callable[[attrs.AttrsInstance, attrs.Attribute[Any], object], None]:
    def check(instance: attrs.AttrsInstance, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            raise SpecError(_field(instance, attribute), f"must be {kind.__name__}, is {type(value).__name__}")

    return check


def _field(instance: attrs.AttrsInstance, attribute: attrs.Attribute[Any]) -> str:
    return f"{type(instance).__name__}.{attribute.name}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


@attrs.frozen
class Timeouts:
    """Deadlines of one stream, in seconds; None is no limit.

    All but `connect` run only while somebody waits for the next event, so a slow reader never makes a provider late.
    """

    connect: float | None = attrs.field(default=10.0, validator=_seconds)
    """From the first packet to a connection that can carry the request."""
    first_byte: float | None = attrs.field(default=300.0, validator=_seconds)
    """From the request sent to the first byte of the body. Headers do not stop it: local servers load models first."""
    idle: float | None = attrs.field(default=300.0, validator=_seconds)
    """Between two reads; any byte starts it anew, also a comment's."""
    progress: float | None = attrs.field(default=1800.0, validator=_seconds)
    """Between two events; comments do not count."""
    turn: float | None = attrs.field(default=None, validator=_seconds)
    """The whole stream."""


@attrs.frozen
class StreamLimits:
    """What one stream may hold in memory."""

    event_bytes: int = attrs.field(default=64 * 1024 * 1024, validator=_count)
    """Bytes of one event; more is `event_too_large`."""


def _check_engine(_: StreamOptions, __: attrs.Attribute[Any], value: object) -> None:
    if value is not None and value not in ENGINES:
        raise SpecError("StreamOptions.engine", f"must be one of {', '.join(ENGINES)} or None, is {value!r}")


def _check_api_key(_: StreamOptions, __: attrs.Attribute[Any], value: object) -> None:
    if value is None or callable(value):
        return
    if not isinstance(value, str):
        raise SpecError("StreamOptions.api_key", f"must be a string or a callable, is {type(value).__name__}")
    if not is_header_value(value.strip()):
        raise SpecError("StreamOptions.api_key", "holds characters that a header cannot carry")


def _check_temperature(_: StreamOptions, __: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (not _is_number(value) or not 0 <= value < math.inf):  # type: ignore[operator]  # a number by now
        raise SpecError("StreamOptions.temperature", f"must be a number of at least 0, is {value!r}")


def _check_thinking(_: StreamOptions, __: attrs.Attribute[Any], value: object) -> None:
    if value is not None and value not in THINKING_LEVELS:
        raise SpecError("StreamOptions.thinking", f"must be one of {', '.join(THINKING_LEVELS)}, is {value!r}")


def _check_retries(_: StreamOptions, __: attrs.Attribute[Any], value: object) -> None:
    if type(value) is not int or value < 0:
        raise SpecError("StreamOptions.retries", f"must be a whole number of at least 0, is {value!r}")


def _check_priority(_: StreamOptions, __: attrs.Attribute[Any], value: object) -> None:
    if type(value) is not int:
        raise SpecError("StreamOptions.priority", f"must be a whole number, is {value!r}")


def _check_think_tags(_: StreamOptions, __: attrs.Attribute[Any], value: object) -> None:
    if value not in (None, True, False):
        raise SpecError("StreamOptions.think_tags", f"must be True, False or None, is {value!r}")


def check_headers(field: str, headers: Mapping[str, str] | None) -> None:
    """Refuse headers that cannot be sent, or that belong to the engine. No value stands in the error's text.

    Raises:
        SpecError: With the name of the header.
    """
    for name, value in (headers or {}).items():
        where = f"{field}[{name!r}]"
        if not isinstance(name, str) or not _is_token(name):
            raise SpecError(where, "is not a header's name")
        if name.lower() in _FORBIDDEN_HEADERS:
            raise SpecError(where, "is set by the engine")
        if not isinstance(value, str) or not is_header_value(value):
            raise SpecError(where, "holds characters that a header cannot carry")


def _check_headers(_: StreamOptions, __: attrs.Attribute[Any], value: Mapping[str, str] | None) -> None:
    check_headers("StreamOptions.headers", value)


def _check_extra_body(_: StreamOptions, __: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise SpecError("StreamOptions.extra_body", "must be an object, or None")
    for name in _OWN_MEMBERS & value.keys():
        raise SpecError(f"StreamOptions.extra_body[{name!r}]", "is set by the dialect")
    try:
        json.dumps(dict(value))
    except (TypeError, ValueError) as error:
        raise SpecError("StreamOptions.extra_body", f"cannot be written as JSON: {error}") from None


def is_header_value(text: str) -> bool:
    """Whether a header can carry `text`: visible ASCII, spaces and tabs inside."""
    return text == text.strip() and all(character == "\t" or " " <= character <= "~" for character in text)


def _is_token(text: str) -> bool:
    return bool(text) and all(
        character.isascii() and (character.isalnum() or character in "!#$%&'*+-.^_`|~") for character in text
    )


@attrs.frozen
class StreamOptions:
    """How one model call is made. Every field has a default; a wrong value raises `SpecError` with its name."""

    engine: Engine | None = attrs.field(default=None, validator=_check_engine)
    """None: native where it is built, else httpx. Naming one that is not built is an error, never a fallback."""
    api_key: ApiKey | None = attrs.field(default=None, repr=False, validator=_check_api_key)
    """None: from the environment, by provider."""
    temperature: float | None = attrs.field(default=None, validator=_check_temperature)
    max_tokens: int | None = attrs.field(default=None, validator=_count)
    """Tokens of the answer. None: the model's, else the provider's own."""
    thinking: ThinkingLevel | None = attrs.field(default=None, validator=_check_thinking)
    """Wins over `Model.thinking_level`. ``off`` here says so to the provider, where it can be told; a model's own ``off``
    only means that nothing is asked for."""
    thinking_budget: int | None = attrs.field(default=None, validator=_count)
    """Tokens of thinking, in the place of those that the level amounts to, for a model that takes a budget. None: by the level."""
    timeouts: Timeouts = attrs.field(factory=Timeouts, validator=_instance(Timeouts))
    retries: int = attrs.field(default=0, validator=_check_retries)
    """Further attempts before the first content; made by the governor, never by an engine. Agents have 4 where this is 0."""
    max_retry_wait: float | None = attrs.field(default=60.0, validator=_seconds)
    """Seconds; a longer wait is not slept but returned as the error, also where another call has met the provider's pause."""
    max_in_flight: int | None = attrs.field(default=None, validator=_count)
    """Calls at once with this key to this host, at most; the last one that was named holds for all. None: as many as the
    provider is found to take."""
    priority: int = attrs.field(default=0, validator=_check_priority)
    """Where calls wait for the same provider, higher ones go first; but one turn in eight is the oldest call's."""
    think_tags: bool | None = attrs.field(default=None, validator=_check_think_tags)
    """Whether `<think>` in the text is thinking. None: by provider and model."""
    enable_prompt_caching: bool = attrs.field(default=False, validator=_instance(bool))
    """Whether the system prompt and the newest messages of the user are marked, for a provider that caches where it is told
    to: `anthropic-messages`, and OpenRouter. Others cache by themselves or not at all."""
    headers: Mapping[str, str] | None = attrs.field(default=None, repr=False, validator=_check_headers)
    """Sent besides the model's; they win."""
    extra_body: Mapping[str, Any] | None = attrs.field(default=None, validator=_check_extra_body)
    """Members of the request body, as the provider names them; they win over what these options amount to."""
    limits: StreamLimits = attrs.field(factory=StreamLimits, validator=_instance(StreamLimits))
    transport: Transport = attrs.field(factory=Transport, validator=_instance(Transport))
    """Whose certificates are trusted, and through which proxy."""
    models: ModelTable | None = attrs.field(default=None, validator=attrs.validators.optional(_instance(ModelTable)))
    """What is known of models, prices among it. None: ours, with the file that `TINYAGENT_MODELS` names."""
    capture: Capture | None = attrs.field(default=None, converter=to_capture)
    """Where each exchange is kept, byte by byte, without credentials: a path is `Capture(path)`. None: nowhere."""

    def completed(self, models: ModelTable, *, think_tags: bool | None) -> StreamOptions:
        """Give these options with what was found out for one call, without checking the others a second time."""
        made = copy.copy(self)
        object.__setattr__(made, "models", models)
        object.__setattr__(made, "think_tags", think_tags)
        return made
