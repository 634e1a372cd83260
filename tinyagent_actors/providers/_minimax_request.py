"""The body of a request in the dialect `minimax-completions`: OpenAI's, with thinking apart from the text.

A temperature of 0 is refused there: the range is (0, 1]. It is sent as `LEAST_TEMPERATURE`, a millionth: so near to 0 that
the likeliest token wins, and yet a number that survives single precision, where the smallest double would be 0 again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tinyagent_actors.messages import Content, Context, Model, TextContent, ThinkingContent
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._model_table import load_models
from tinyagent_actors.providers._openai_request import build_body
from tinyagent_actors.providers._options import StreamOptions
from tinyagent_actors.providers._request_json import to_json
from tinyagent_actors.providers._vendor_models import MinimaxFacts

LEAST_TEMPERATURE: Final = 1e-6
_MOST_TEMPERATURE: Final = 1.0


def build_minimax_request(
    model: Model,
    context: Context,
    options: StreamOptions,
    endpoint: Endpoint,
    *,
    with_stream_options: bool = True,
) -> bytes:
    """Give the JSON body of a request; see `build_request` of `openai-completions`."""
    table = options.models or load_models()
    facts, rules = table.read(MinimaxFacts, model, endpoint.url), table.rules(model, endpoint.url)
    body = build_body(
        model, context, options, endpoint, rules, with_stream_options=with_stream_options, replay=_thinking_as_it_came
    )
    if "temperature" in body:
        body["temperature"] = min(max(body["temperature"], LEAST_TEMPERATURE), _MOST_TEMPERATURE)
    if facts.splits_thinking:
        body["reasoning_split"] = True
    if facts.chooses_thinking:
        body.update(_thinking(model, options))
    return to_json(body | dict(options.extra_body or {}))


def _thinking(model: Model, options: StreamOptions) -> dict[str, Any]:
    """Give how much the model is to think, if somebody said so: there are no degrees."""
    if options.thinking == "off":
        return {"thinking": {"type": "disabled"}}
    is_asked = (options.thinking or model.thinking_level) != "off"
    return {"thinking": {"type": "adaptive"}} if is_asked else {}


def _thinking_as_it_came(content: Sequence[Content], *, has_calls: bool) -> dict[str, Any]:  # noqa: ARG001  # always
    """Give thinking back: what came in details as details, what came in tags as text in tags, in its place."""
    blocks = [block for block in content if isinstance(block, ThinkingContent)]
    for block in blocks:
        if block.wire and "reasoning_details" in block.wire:
            return {"reasoning_details": block.wire["reasoning_details"]}
    return {"content": "".join(map(_tagged, content))} if blocks else {}


def _tagged(block: Content) -> str:
    if isinstance(block, ThinkingContent):
        return f"<think>{block.thinking}</think>"
    return block.text if isinstance(block, TextContent) else ""
