"""`collect_openai_completions` and `openai_completions_stream`: the published crate for callers that block; dicts in and out.

These two *are* `alchemy_llm::stream`: what it loses is lost. A character that is split over two reads is damaged, a stream that
was cut is a success, an error inside of a stream is not seen, arguments of tool calls that do not parse are ``{}``
(`docs/reference/alchemy-engine.md`). Programs on Trio use `stream_alchemy_openai_completions`, which has none of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast, final

import attrs
import orjson

from tinyagent_actors._errors import EngineUnavailableError, ProviderError, ValueShapeError

if TYPE_CHECKING:
    from tinyagent_actors._alchemy._lib import Completions


@final
@attrs.define(eq=False, repr=False)
class OpenAICompletionsStream:
    """A stream that blocks while it waits. Dropping it, or `close`, ends it and closes its socket."""

    _inner: Completions

    def next_event(self) -> dict[str, Any] | None:
        """Wait for the next event and give it; None where there are no more. Other threads run meanwhile."""
        event = self._inner.next_event()
        return None if event is None else cast("dict[str, Any]", orjson.loads(event))

    def result(self) -> dict[str, Any]:
        """Give the final message, reading to the end; events that were not taken are passed over.

        Raises:
            ProviderError: The stream was closed before it ended.
        """
        while self._inner.message() is None and self._inner.next_event() is not None:
            pass
        message = self._inner.message()
        if message is None:
            raise ProviderError("truncated", "the stream was closed before its message ended")
        return cast("dict[str, Any]", orjson.loads(message))

    def close(self) -> None:
        """End the stream; nothing more comes."""
        self._inner.close()

    def __repr__(self) -> str:
        return "<OpenAICompletionsStream>"


def openai_completions_stream(
    model: Mapping[str, Any], context: Mapping[str, Any], options: Mapping[str, Any] | None = None
) -> OpenAICompletionsStream:
    """Ask a model through the published crate, event by event; see the module's words about what that means.

    Args:
        model: ``id``, ``base_url``; if wanted ``provider``, ``api`` (blank: by the provider), ``headers``, ``reasoning``,
            ``context_window``, ``max_tokens``.
        context: ``system_prompt``, ``messages``, ``tools``.
        options: ``api_key`` (else the environment's, by provider), ``temperature``, ``max_tokens``, ``reasoning_effort``.

    Raises:
        EngineUnavailableError: The engine is not part of what is built here.
        ValueShapeError: A member is missing or of another shape.
        ProviderError: Kind `auth`: there is no key. Kind `connection_error`: too many streams wait already.

    Example:
        ::

            stream = openai_completions_stream(
                {"provider": "openrouter", "id": "openai/gpt-5.4-mini", "base_url": "https://openrouter.ai/api/v1"},
                {"messages": [{"role": "user", "content": "Hello"}]},
            )
            while (event := stream.next_event()) is not None:
                print(event["type"])
            print(stream.result()["content"])
    """
    from tinyagent_actors import _alchemy

    if not _alchemy.ALCHEMY_AVAILABLE:
        raise EngineUnavailableError("alchemy", str(_alchemy.ALCHEMY_UNAVAILABLE_REASON))
    try:
        request = orjson.dumps({"model": model, "context": context, "options": options or {}})
    except TypeError as error:
        raise ValueShapeError("request", f"cannot be written as JSON: {error}") from None
    try:
        return OpenAICompletionsStream(_alchemy.Completions(request))
    except PermissionError as error:
        raise ProviderError("auth", str(error)) from None
    except ValueError as error:
        path, _, problem = str(error).partition(": ")
        raise ValueShapeError(path, problem) from None
    except RuntimeError as error:
        raise ProviderError("connection_error", str(error), retryable=True) from None


def collect_openai_completions(
    model: Mapping[str, Any], context: Mapping[str, Any], options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Ask a model through the published crate and wait for the whole answer. Arguments and errors as `openai_completions_stream`.

    Returns:
        ``{"events": [...], "final_message": {...}}``.
    """
    stream = openai_completions_stream(model, context, options)
    events = []
    while (event := stream.next_event()) is not None:
        events.append(event)
    return {"events": events, "final_message": stream.result()}
