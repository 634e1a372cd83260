"""MeteredCall: a model call that is reserved before it is made, and settled afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import ROUND_CEILING, Decimal
from types import TracebackType
from typing import Final

import attrs

from tinyagent_actors._errors import SpecError
from tinyagent_actors.agents._account import DEFAULT_OUTPUT, Account, Reserve
from tinyagent_actors.agents._budget import PICO
from tinyagent_actors.agents._estimate import estimate_input
from tinyagent_actors.agents._lease import Need
from tinyagent_actors.agents._model_call import ModelCall, ModelStream
from tinyagent_actors.agents._spending import NOTHING, Spending, spending_of
from tinyagent_actors.agents._stream_call import ProviderCall
from tinyagent_actors.events import StreamEvent
from tinyagent_actors.messages import AssistantMessage, Context, Model
from tinyagent_actors.providers import StreamOptions, default_models

_MILLION: Final = 1_000_000
_BAD_REQUEST: Final = 400


@attrs.frozen
class MeteredCall:
    """A `ModelCall` that draws on the account of a run."""

    call: ModelCall
    account: Account

    def __call__(
        self, model: Model, context: Context, publish: Callable[..., object]
    ) -> AbstractAsyncContextManager[ModelStream]:
        """Reserve, open the stream of one answer, and settle when the block is left, however that comes.

        Raises:
            BudgetExceededError: There is not enough left.
            SpecError: A cost is bounded, and the price of the model is not known.
        """
        return _Metering(self.call, self.account, model, context, publish)


@attrs.define(eq=False)
class _Metering(AbstractAsyncContextManager[ModelStream]):
    """The block of a metered call. A class, since every turn enters one."""

    _call: ModelCall
    _account: Account
    _model: Model
    _context: Context
    _publish: Callable[..., object]
    _reserve: Reserve = attrs.field(init=False)
    _opened: AbstractAsyncContextManager[ModelStream] = attrs.field(init=False)
    _stream: MeteredStream = attrs.field(init=False)

    async def __aenter__(self) -> MeteredStream:
        call, account, model, context = self._call, self._account, self._model, self._context
        options = call.options if isinstance(call, ProviderCall) else StreamOptions()
        account.check()
        need = need_of(model, context, options, account) if account.is_limited else Need(0, 0)
        reserve = self._reserve = await account.reserve(need, self._publish)
        try:
            if isinstance(call, ProviderCall) and reserve.output < need.output:
                call = attrs.evolve(call, options=attrs.evolve(call.options, max_tokens=reserve.output))
            self._opened = call(model, context, self._publish)
            self._stream = MeteredStream(await self._opened.__aenter__())
        except BaseException:
            account.settle(reserve, NOTHING, self._publish)
            raise
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return await self._opened.__aexit__(kind, raised, traceback)
        finally:
            self._account.settle(self._reserve, self._stream.used(self._reserve), self._publish)


def bounded(call: ModelCall, max_tokens: int) -> ModelCall:
    """Give a call whose answer has at most so many tokens, where the call is a provider's."""
    if isinstance(call, MeteredCall):
        return attrs.evolve(call, call=bounded(call.call, max_tokens))
    if isinstance(call, ProviderCall):
        least = min(max_tokens, call.options.max_tokens or max_tokens)
        return attrs.evolve(call, options=attrs.evolve(call.options, max_tokens=least))
    return call


@attrs.define(eq=False)
class MeteredStream:
    """A stream that remembers what it came to."""

    _stream: ModelStream
    _message: AssistantMessage | None = attrs.field(default=None, init=False)

    @property
    def model(self) -> Model | None:
        """See `ModelStream`."""
        return self._stream.model

    async def next_events(self) -> list[StreamEvent]:
        """See `ModelStream`."""
        return await self._stream.next_events()

    async def result(self) -> AssistantMessage:
        """See `ModelStream`."""
        self._message = await self._stream.result()
        return self._message

    def used(self, reserve: Reserve) -> Spending | None:
        """Give what the request has used; None if nobody told."""
        message = self._message
        if message is None:
            return None
        if message.usage is None:
            return NOTHING if was_refused(message) else None
        used = spending_of(message.usage)
        return attrs.evolve(used, pico=reserve.pico, estimated=1) if used.unpriced and reserve.pico else used


def was_refused(message: AssistantMessage) -> bool:
    """Whether a request came to nothing before anything was answered, so that nobody charges for it."""
    error = message.error
    if error is None or message.content:
        return False
    is_status = error.status is not None and error.status >= _BAD_REQUEST
    return is_status or error.kind in ("connection_error", "auth", "rate_limited", "overloaded")


def need_of(model: Model, context: Context, options: StreamOptions, account: Account) -> Need:
    """Give what a request may take.

    Raises:
        SpecError: A cost is bounded, and the price of the model is not known.
    """
    output = options.max_tokens or model.max_tokens or DEFAULT_OUTPUT
    tokens = estimate_input(context)
    if not account.needs_price:
        return Need(tokens, output)
    prices = [price_of(asked, tokens, options) for asked in (model, *model.fallbacks)]
    return Need(tokens, output, max(read for read, _ in prices), max(written for _, written in prices))


def price_of(model: Model, tokens: int, options: StreamOptions) -> tuple[int, int]:
    """Give what a token of a prompt of that length costs, and one of the answer, in parts of a USD.

    Raises:
        SpecError: It is not known.
    """
    price = (options.models or default_models(os.environ)).facts(model).price
    at = None if price is None else price.for_prompt(tokens)
    if at is None or at.input is None or at.output is None:
        named = f"{model.provider}:{model.id}"
        raise SpecError("budget.cost", f"needs the price of {named}, which is not known; see StreamOptions.models")
    # What is read from a cache, or written into one, may cost more than what is neither.
    read = max(part for part in (at.input, at.cache_read, at.cache_write) if part is not None)
    return _pico(read), _pico(at.output)


def _pico(per_million: Decimal) -> int:
    return int((per_million * PICO / _MILLION).to_integral_value(ROUND_CEILING))
