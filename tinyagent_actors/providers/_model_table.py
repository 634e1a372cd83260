"""ModelTable: what is known of models, ours with yours laid over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import attrs

from tinyagent_actors._errors import ValueShapeError
from tinyagent_actors.messages import Model
from tinyagent_actors.providers._model_facts import ModelFacts
from tinyagent_actors.providers._model_file import Layer, Settings, is_at, parse_layer
from tinyagent_actors.providers._provider_rules import ProviderRules

VARIABLE: Final = "TINYAGENT_MODELS"
"""Of the environment: the path of your file."""

_OURS: Final = Path(__file__).with_name("models.toml")
_FACTS: Final = frozenset(field.name for field in attrs.fields(ModelFacts)) - {"provider", "id"}
_T = TypeVar("_T", bound=attrs.AttrsInstance)


@attrs.frozen(eq=False, repr=False)
class ModelTable:
    """What is known of models. Made by `load_models`; goes into `StreamOptions.models`."""

    _layers: tuple[Layer, ...]
    """Later ones win."""

    def __repr__(self) -> str:
        return f"ModelTable({len(self)} models)"

    def __len__(self) -> int:
        return len(_row_keys(self._layers))

    def __iter__(self) -> Iterator[ModelFacts]:
        """Give what is known of each model that has a row, in the order of the rows."""
        return (self.facts(Model(model_id, provider)) for provider, model_id in _row_keys(self._layers).values())

    def facts(self, model: Model, url: str | None = None) -> ModelFacts:
        """Give what is known of a model. What the model says of itself wins; a model that is not known has few facts.

        Args:
            model: Whom.
            url: Where it will be asked; None: its `base_url`, or where its provider lives.

        Example:
            >>> load_models().facts(Model.parse("anthropic:claude-opus-4-6")).context_window
            200000
        """
        facts = _facts(self._layers, model.provider.lower(), model.id, _host_of(url or model.base_url or ""))
        if model.context_window is None and model.max_tokens is None and not model.reasoning:
            return facts
        return attrs.evolve(
            facts,
            context_window=facts.context_window if model.context_window is None else model.context_window,
            max_tokens=facts.max_tokens if model.max_tokens is None else model.max_tokens,
            reasoning=model.reasoning or facts.reasoning,
        )

    def with_layer(self, layer: Layer) -> ModelTable:
        """Give a table with one more file laid over this one."""
        return ModelTable((*self._layers, layer))

    def rules(self, model: Model, url: str | None = None) -> ProviderRules:
        """Give how a model wants to be asked."""
        return self.read(ProviderRules, model, url)

    def read(self, kind: type[_T], model: Model, url: str | None = None) -> _T:
        """Give the settings of a model that a class has fields for, as an object of it."""
        host = _host_of(url or model.base_url or "")
        read: _T = _object(kind, self._layers, model.provider.lower(), model.id.lower(), host)
        return read

    def base_url(self, model: Model) -> str | None:
        """Give where a model is served, if a row or a rule says so."""
        return _facts(self._layers, model.provider.lower(), model.id, "").base_url


@lru_cache(maxsize=16)
def _row_keys(layers: tuple[Layer, ...]) -> dict[tuple[str, str], tuple[str, str]]:
    rows = (row for layer in layers for row in layer.rows.values())
    keys = ((row["provider"], row["id"]) for row in rows)
    return {(provider.lower(), model_id.lower()): (provider, model_id) for provider, model_id in keys}


@lru_cache(maxsize=256)
def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:  # what is no URL is nowhere
        return ""


@lru_cache(maxsize=256)
def _settings(layers: tuple[Layer, ...], provider: str, model_id: str, host: str) -> tuple[str, Settings]:
    """Give the provider, which the host decides where it is known, and all settings of a model."""
    for layer in layers:
        provider = next((named for place, named in layer.hosts.items() if is_at(host, (place,))), provider)
    rows: list[Settings] = [layer.rows.get((provider, model_id), {}) for layer in layers]
    first = max((place for place, row in enumerate(rows) if row.get("replace")), default=0)
    settings: dict[str, Any] = {}
    for place, layer in enumerate(layers):
        for rule in layer.rules:
            if rule.matches(provider, model_id, host):
                settings.update(rule.settings)
        if place >= first:
            settings.update(rows[place])
    return provider, settings


@lru_cache(maxsize=256)
def _facts(layers: tuple[Layer, ...], provider: str, model_id: str, host: str) -> ModelFacts:
    """Give what the files know of a model, whose id is kept as it was written."""
    provider, settings = _settings(layers, provider, model_id.lower(), host)
    known = {name: value for name, value in settings.items() if name in _FACTS}
    return ModelFacts(provider=provider, id=model_id, **known)


@lru_cache(maxsize=256)
def _object(kind: type[Any], layers: tuple[Layer, ...], provider: str, model_id: str, host: str) -> Any:
    """Give the settings of a model that a class has fields for, as an object of it; the class is a frozen one."""
    _, settings = _settings(layers, provider, model_id, host)
    names = {field.name for field in attrs.fields(kind)}
    return kind(**{name: value for name, value in settings.items() if name in names})


def load_models(path: str | Path | None = None) -> ModelTable:
    """Give what is known of models: ours, and your file laid over it.

    A file is read at once, and not again when it changes; the environment is not looked at (`open_stream` does that, where
    `StreamOptions.models` is None).

    Args:
        path: Your file, in the form of `models.toml`. None: only ours.

    Raises:
        ValueShapeError: The file cannot be read or used; its row and field are named.
    """
    return _ours() if path is None else _ours().with_layer(_read(Path(path)))


def default_models(environ: Mapping[str, str]) -> ModelTable:
    """Give the table for whoever names none: with the file that the environment names, read once a program."""
    path = environ.get(VARIABLE, "").strip()
    return _with_file(path) if path else _ours()


@lru_cache(maxsize=1)
def _ours() -> ModelTable:
    return ModelTable((_read(_OURS),))


@lru_cache(maxsize=8)
def _with_file(path: str) -> ModelTable:
    return load_models(path)


def _read(path: Path) -> Layer:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise ValueShapeError(str(path), f"cannot be read: {reason}") from None
    return parse_layer(text, str(path))
