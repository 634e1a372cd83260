"""The dialects that this package speaks, by the name in `Model.api`."""

from __future__ import annotations

from functools import partial
from typing import Final

from tinyagent_actors._errors import SpecError
from tinyagent_actors.providers import _anthropic_request, _openai_request
from tinyagent_actors.providers._anthropic_decoder import AnthropicDecoder
from tinyagent_actors.providers._anthropic_headers import add_headers
from tinyagent_actors.providers._dialect import Dialect
from tinyagent_actors.providers._minimax_request import build_minimax_request
from tinyagent_actors.providers._openai_decoder import OpenAIDecoder
from tinyagent_actors.providers._zai_request import build_zai_request

DIALECTS: Final = {
    dialect.api: dialect
    for dialect in (
        Dialect("openai-completions", build_request=_openai_request.build_request, make_decoder=OpenAIDecoder),
        Dialect(
            "minimax-completions",
            build_request=build_minimax_request,
            make_decoder=partial(OpenAIDecoder, is_minimax=True),
            think_tags=True,
        ),
        Dialect("zai-completions", build_request=build_zai_request, make_decoder=OpenAIDecoder),
        Dialect(
            "anthropic-messages",
            build_request=_anthropic_request.build_request,
            make_decoder=AnthropicDecoder,
            has_stream_options=False,
            add_headers=add_headers,
        ),
    )
}


def dialect_of(api: str) -> Dialect:
    """Give the dialect with this name.

    Raises:
        SpecError: There is none.
    """
    dialect = DIALECTS.get(api)
    if dialect is None:
        raise SpecError("Model.api", f"must be one of {', '.join(map(repr, DIALECTS))}, is {api!r}")
    return dialect
