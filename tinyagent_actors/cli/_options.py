"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

from tinyagent_actors._errors import SpecError
from tinyagent_actors.messages import Model


def model_of(name: str | None, base_url: str | None) -> Model | None:
    """Give the model that ``--model`` and ``--base-url`` name; None if they name none.

    Raises:
        SpecError: There is a URL without a model.
        ValueShapeError: That is no model.
    """
    if base_url is not None:
        if name is None:
            raise SpecError("--model", "is needed with --base-url")
        return Model(name, provider="custom", base_url=base_url)
    return None if name is None else Model.parse(name)


def check_log(log: Path) -> None:
    """Make the file of ``--log``, if it is not there.

    Raises:
        SpecError: It cannot be written.
    """
    try:
        with log.open("ab"):
            pass
    except OSError as error:
        raise SpecError("--log", f"{log}: {error.strerror}") from error
