"""Template: what a supervisor makes children of that are alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from tinyagent_actors.actors import ChildSpec
from tinyagent_actors.supervision._children import Children


@attrs.define(eq=False)
class Template:
    """The spec that `start_another` derives from, and the numbers in the names; it outlives an incarnation of its supervisor."""

    _spec: ChildSpec
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)

    def another(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str | None, children: Children
    ) -> ChildSpec:
        """Give the spec of one more child.

        Args:
            args: Come after the template's own.
            kwargs: Come besides the template's own.
            name: Its name; None: the next that was never used, neither here nor by one of `children`.
            children: Those that there are.
        """
        spec = self._spec
        if name is None:
            names = (f"{spec.name}-{number}" for number in self._numbers)
            name = next(name for name in names if children.named(name) is None)
        return attrs.evolve(spec, name=name, args=(*spec.args, *args), kwargs={**spec.kwargs, **kwargs})
