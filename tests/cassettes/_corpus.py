"""All cassettes of the corpus, and the folder that they stand in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.cassettes import _anthropic, _choices, _ends, _framing, _http, _minimax, _tools, _zai
from tests.cassettes._case import Case

FOLDER: Final = Path(__file__).parent

CORPUS: Final[list[Case]] = [
    case for module in (_framing, _ends, _choices, _tools, _http, _anthropic, _minimax, _zai) for case in module.CASES
]
