"""The compiled engine, where it is built. Importing this never fails for want of it, unless it is asked for.

`TINYAGENT_NATIVE` in the environment: ``auto`` (the default) uses what is built, ``0`` pretends that nothing is, ``1`` makes
a missing engine an error here.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from tinyagent_actors._alchemy._completions import (
    OpenAICompletionsStream,
    collect_openai_completions,
    openai_completions_stream,
)

if TYPE_CHECKING:
    from types import ModuleType

    from tinyagent_actors._alchemy._lib import AlchemyHub, Completions, Decoder, Hub

__all__ = [
    "ALCHEMY_AVAILABLE",
    "ALCHEMY_UNAVAILABLE_REASON",
    "AVAILABLE",
    "UNAVAILABLE_REASON",
    "AlchemyHub",
    "Completions",
    "Decoder",
    "Hub",
    "OpenAICompletionsStream",
    "collect_openai_completions",
    "openai_completions_stream",
]

_WANTED = os.environ.get("TINYAGENT_NATIVE", "auto")


def _load() -> tuple[ModuleType | None, str | None]:
    if _WANTED == "0":
        return None, "TINYAGENT_NATIVE=0 leaves it out"
    try:
        return importlib.import_module("tinyagent_actors._alchemy._lib"), None
    except ModuleNotFoundError as error:
        if error.name != "tinyagent_actors._alchemy._lib":
            raise
        return None, (
            "this installation holds no compiled engine; a wheel of tinyagent-actors for this platform has it, and "
            "`make native` builds it in a checkout (it needs cargo)"
        )
    except ImportError as error:
        return None, f"the compiled engine cannot be loaded here: {error}"


_module, UNAVAILABLE_REASON = _load()
AVAILABLE = _module is not None
ALCHEMY_AVAILABLE = hasattr(_module, "AlchemyHub")
"""Whether the engine `alchemy` is part of what is built."""
ALCHEMY_UNAVAILABLE_REASON = (
    None
    if ALCHEMY_AVAILABLE
    else UNAVAILABLE_REASON or "the compiled engine was built without it (`make native` builds it where OpenSSL is)"
)

if _WANTED == "1" and not AVAILABLE:
    message = f"TINYAGENT_NATIVE=1, but {UNAVAILABLE_REASON}"
    raise ImportError(message)


def __getattr__(name: str) -> Any:
    if name not in ("AlchemyHub", "Completions", "Decoder", "Hub"):
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    if _module is None:
        message = f"{name}: {UNAVAILABLE_REASON}"
        raise ImportError(message)
    if not hasattr(_module, name):
        message = f"{name}: {ALCHEMY_UNAVAILABLE_REASON}"
        raise ImportError(message)
    return getattr(_module, name)
