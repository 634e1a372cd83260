"""Policies: functions from a conversation to a reply. Deterministic, so that a run can be repeated."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import attrs
import trio

from tinyagent_actors._errors import SpecError
from tinyagent_actors.testing._request import ChatRequest
from tinyagent_actors.testing._script import CallSpec, Reply
from tinyagent_actors.testing._statistics import Answered

_MAX_DEPTH = 16


class Policy(Protocol):
    """What decides the replies: any function, plain or async, from a `ChatRequest` to a `Reply`.

    A plain one must not block: it runs in the endpoint's own thread. An async one is cancelled when its client leaves.
    """

    def __call__(self, request: ChatRequest, /) -> Reply | Awaitable[Reply]:
        """Give the reply to that request."""
        ...


def _queue(replies: Iterable[Reply]) -> deque[Reply]:
    queue = deque(replies)
    for index, reply in enumerate(queue):
        if not isinstance(reply, Reply):
            raise SpecError(f"replies[{index}]", f"must be a Reply, not {type(reply).__name__}")
    return queue


@attrs.define(eq=False)
class Script:
    """Replies in order, one a request. When it is spent, requests are answered with an error that says so.

    Args:
        replies: The replies.
        repeat: Whether to begin again at the end.
    """

    _replies: deque[Reply] = attrs.field(converter=_queue)
    repeat: bool = attrs.field(default=False, kw_only=True)
    given: int = attrs.field(default=0, init=False)
    """How many replies it has given."""

    @property
    def left(self) -> int:
        """How many replies wait."""
        return len(self._replies)

    def add(self, replies: Iterable[Reply]) -> None:
        """Put replies at the end."""
        self._replies.extend(_queue(replies))

    def __call__(self, _request: ChatRequest, /) -> Reply:
        """Give the next reply."""
        if not self._replies:
            message = f"the script is spent: it had {self.given} replies"
            return Reply.error(500, message, kind="script_spent", code="script_spent")
        self.given += 1
        reply = self._replies.popleft()
        if self.repeat:
            self._replies.append(reply)
        return reply


@attrs.frozen
class EchoPolicy:
    """Says what the user said last."""

    prefix: str = ""

    def __call__(self, request: ChatRequest, /) -> Reply:
        """Give the user's last words."""
        return Reply(text=self.prefix + _encodable(request.user_text))


@attrs.frozen(kw_only=True)
class ToolLoopPolicy:
    """Makes each of its calls once, then answers with what the tools said.

    How far it has come is read from the conversation (the calls since the last message of the user), so that one policy
    serves any number of conversations at once.
    """

    calls: tuple[CallSpec, ...] | None = attrs.field(
        default=None, converter=attrs.converters.optional(tuple[CallSpec, ...])
    )
    """``None``: every tool that the request offers, with arguments made from its schema."""
    per_turn: int = attrs.field(default=1)
    """Calls a reply."""
    answer: str | None = None
    """The last text; ``None``: the results, a line each."""

    @per_turn.validator
    def _check_per_turn(self, _field: attrs.Attribute[Any], value: int) -> None:
        if value < 1:
            raise SpecError("per_turn", f"must be 1 or more, not {value}")

    def __call__(self, request: ChatRequest, /) -> Reply:
        """Give the next calls, or the answer."""
        calls = self.calls if self.calls is not None else tuple(_call_of(tool) for tool in request.tools)
        made = len(request.calls)
        if made < len(calls):
            return Reply(tool_calls=calls[made : made + self.per_turn])
        if self.answer is not None:
            return Reply(text=self.answer)
        lines = [f"{result.name}: {result.text}" for result in request.results]
        return Reply(text=_encodable("\n".join(lines)) or "no tools were called")


@attrs.define(eq=False)
class CapacityPolicy:
    """Serves at most so many answers at once, as providers do for one key; one more is refused with a 429.

    It has to be told when an answer is over: give `answered` to `open_endpoint` as `on_answer`.

    Args:
        inner: Decides the replies of those that are served.
        capacity: Answers at once.
        retry_after: What a refusal says; ``None``: nothing.
        clock: Gives the time of arrivals.

    Example:
        ::

            policy = CapacityPolicy(EchoPolicy(), capacity=20, retry_after=1)
            async with open_endpoint(policy, on_answer=policy.answered) as endpoint:
                ...
            assert policy.refused <= 0.05 * len(policy.arrivals)
    """

    inner: Callable[[ChatRequest], Reply]
    capacity: int = attrs.field(kw_only=True)
    retry_after: float | None = attrs.field(default=None, kw_only=True)
    headers: Mapping[str, str] = attrs.field(factory=dict, kw_only=True)
    """Of refusals, such as ``retry-after-ms``."""
    clock: Callable[[], float] = attrs.field(default=trio.current_time, kw_only=True)
    arrivals: list[float] = attrs.field(factory=list, init=False)
    """When each request came, the refused ones too."""
    refused: int = attrs.field(default=0, init=False)
    most: int = attrs.field(default=0, init=False)
    """Answers that were being given at once, at most."""
    _serving: set[int] = attrs.field(factory=set, init=False)
    """Numbers of requests."""

    def __call__(self, request: ChatRequest, /) -> Reply:
        """Give the reply of `inner`, or a refusal."""
        self.arrivals.append(self.clock())
        if len(self._serving) >= self.capacity:
            self.refused += 1
            return Reply.rate_limited(self.retry_after, headers=self.headers)
        self._serving.add(request.number)
        self.most = max(self.most, len(self._serving))
        return self.inner(request)

    def answered(self, answered: Answered) -> None:
        """Note that the work on a request has ended."""
        self._serving.discard(answered.request.number)


def _call_of(tool: Mapping[str, Any]) -> CallSpec:
    sample = sample_value(tool.get("parameters") or {})
    return CallSpec(name=tool["name"], arguments=sample if isinstance(sample, dict) else {})


def sample_value(schema: Any, depth: int = 0) -> Any:
    """Give a small value that fits the common parts of a JSON schema: required members, default, enum, type, minimum."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return None
    for member in ("default", "const"):
        if member in schema:
            return schema[member]
    for member in ("enum", "examples"):
        if isinstance(values := schema.get(member), Sequence) and values:
            return values[0]
    for member in ("anyOf", "oneOf", "allOf"):
        if isinstance(branches := schema.get(member), Sequence) and branches:
            return sample_value(branches[0], depth + 1)
    return _sample_of_type(schema, depth)


def _sample_of_type(schema: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "object" or (kind is None and "properties" in schema):
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = schema.get("required")
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        return {name: sample_value(properties.get(name), depth + 1) for name in names}
    if kind == "array":
        count = schema.get("minItems")
        return [sample_value(schema.get("items"), depth + 1)] * (min(count, 16) if isinstance(count, int) else 0)
    if kind in ("integer", "number"):
        minimum = schema.get("minimum")
        return minimum if isinstance(minimum, int | float) and minimum > 1 else 1
    return {"boolean": True, "null": None}.get(str(kind), "text")


def _encodable(text: str) -> str:
    """Replace lone surrogates, which a request may hold and an answer may not."""
    return text.encode(errors="replace").decode()
