"""What a call cost: from tokens and prices, or as it was billed."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.conftest import CONTEXT
from tinyagent_actors.messages import Context, Cost, Model, TextContent, Usage, UserMessage
from tinyagent_actors.providers import (
    OpenRouterModel,
    Price,
    StreamOptions,
    cost_of,
    load_models,
    open_stream,
    stream_openrouter,
)
from tinyagent_actors.testing import Reply, open_endpoint

PRICE = Price(Decimal("2.5"), Decimal(15), Decimal("0.25"), Decimal("3.125"))
AMOUNTS = st.decimals(0, 1000, places=6)
COUNTS = st.integers(0, 2**53)


async def usage_of(engine: str, model: Model, told: dict[str, Any], **options: Any) -> Usage | None:
    """Give the usage of a call whose provider tells this."""
    events = ({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}], "usage": told}, "[DONE]")
    async with open_endpoint([Reply.events(*events)]) as endpoint:
        placed = Model(model.id, model.provider, base_url=endpoint.url)
        with trio.fail_after(30):
            async with open_stream(placed, CONTEXT, StreamOptions(engine=engine, api_key="k", **options)) as stream:
                return (await stream.result()).usage


def test_each_kind_of_token_has_its_price() -> None:
    """M04: cached tokens cost what reading or writing the cache costs, reasoning costs as output."""
    usage = Usage(input=1000, output=200, cache_read=4000, cache_write=800, reasoning=150)

    assert cost_of(usage, PRICE) == Cost(0.0025, 0.003, 0.001, 0.0025, 0.009)


def test_what_is_rounded_is_rounded_once() -> None:
    """M04: the total is the exact sum, rounded to the nearest float; adding the rounded parts would give another."""
    cost = cost_of(Usage(1, 1, 1), Price(Decimal(100_000), Decimal(200_000), Decimal(0)))

    assert cost is not None
    assert (cost.input, cost.output, cost.total) == (0.1, 0.2, 0.3)
    assert cost.input + cost.output != cost.total


@given(COUNTS, COUNTS, COUNTS, COUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_the_arithmetic_is_exact(
    fresh: int, output: int, read: int, written: int, p: Decimal, q: Decimal, r: Decimal, s: Decimal
) -> None:
    """M04: for any tokens and prices each number is the float nearest to the true one."""
    cost = cost_of(Usage(fresh, output, read, written), Price(p, q, r, s))

    parts = [Fraction(amount) * count / 10**6 for amount, count in ((p, fresh), (q, output), (r, read), (s, written))]
    first, second, third, fourth = map(float, parts)
    assert cost == Cost(first, second, third, fourth, float(sum(parts)))


@pytest.mark.parametrize(
    ("usage", "price"),
    [
        (Usage(1, 1), None),
        (Usage(1, 1), Price()),
        (Usage(1, 1), Price(input=Decimal(1))),
        (Usage(1, 0, 1), Price(input=Decimal(1), output=Decimal(1))),
        (Usage(1, 0, 0, 1), Price(input=Decimal(1), output=Decimal(1), cache_read=Decimal(1))),
    ],
)
def test_an_unknown_price_makes_an_unknown_cost(usage: Usage, price: Price | None) -> None:
    """M05: never 0, and never a sum that leaves something out."""
    assert cost_of(usage, price) is None


def test_a_price_that_is_not_needed_may_be_unknown() -> None:
    """M05: a call that read no cache needs no price for it; a price of 0 is known."""
    assert cost_of(Usage(1_000_000, 0), Price(input=Decimal(3))) == Cost(input=3.0, total=3.0)
    assert cost_of(Usage(5, 5), Price(Decimal(0), Decimal(0))) == Cost()
    assert cost_of(Usage(), Price()) == Cost()


@pytest.mark.parametrize(("cached", "total"), [(0, 0.2), (1, 0.4), (300_000, 0.9)])
def test_a_long_prompt_has_a_price_of_its_own(cached: int, total: float) -> None:
    """M04: above a threshold the whole call costs more; the prompt is counted with what was cached."""
    one, two, three = (Price(Decimal(usd), tokens=tokens) for usd, tokens in ((1, 0), (2, 200_000), (3, 400_000)))
    two, three = (Price(tier.input, cache_read=Decimal(0), tokens=tier.tokens) for tier in (two, three))
    price = Price(one.input, cache_read=Decimal(0), above=(two, three))

    cost = cost_of(Usage(200_000 if cached < 2 else 300_000, cache_read=cached), price)
    assert cost is not None
    assert round(cost.total, 6) == total


async def test_a_call_of_a_model_whose_price_is_known(engine: str) -> None:
    """M04: P40: `cost` is computed; cached prompt tokens are not paid twice."""
    told = {"prompt_tokens": 2600, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 2000}}

    usage = await usage_of(engine, Model("gpt-4.1", "openai"), told)

    assert usage is not None
    assert (usage.input, usage.cache_read) == (600, 2000)
    assert usage.cost == Cost(0.0012, 0.0008, 0.001, 0.0, 0.003)


async def test_written_cache_has_its_price(engine: str) -> None:
    """M04: 2,600 prompt, 2,000 cached, 400 written are 200 uncached."""
    details = {"cached_tokens": 2000, "cache_write_tokens": 400}
    told = {"prompt_tokens": 2600, "completion_tokens": 100, "prompt_tokens_details": details}

    usage = await usage_of(engine, Model("gpt-6-sol", "openai"), told)

    assert usage is not None
    assert usage.cost == Cost(0.0004, 0.001, 0.0004, 0.001, 0.0028)


async def test_reasoning_beside_the_completion_is_paid_as_output(engine: str) -> None:
    """M04: xAI tells reasoning apart from the completion, and the total says so."""
    told = {
        "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1500,
        "completion_tokens_details": {"reasoning_tokens": 400},
    }  # fmt: skip

    usage = await usage_of(engine, Model("grok-4.3", "xai"), told)

    assert usage is not None
    assert (usage.output, usage.reasoning, usage.total_tokens) == (500, 400, 1500)
    assert usage.cost == Cost(0.00125, 0.00125, total=0.0025)


@pytest.mark.parametrize(
    ("named", "output", "reasoning"), [("gemini:gemini-2.5-flash", 603, 405), ("openai:gpt-5.1", 198, 0)]
)
async def test_thoughts_that_only_the_total_tells_of(engine: str, named: str, output: int, reasoning: int) -> None:
    """M04: Gemini leaves them out of the completion and tells them nowhere else; of others nothing is inferred."""
    told = {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623}

    usage = await usage_of(engine, Model.parse(named), told)

    assert usage is not None
    assert (usage.input, usage.output, usage.reasoning) == (20, output, reasoning)


async def test_a_bill_wins_over_the_table(engine: str) -> None:
    """M06: what OpenRouter says it took is the cost, also where we know another price, and also where it is nothing."""
    for billed in (0.5, 0, 0.00017820000000000002):
        told = {"prompt_tokens": 10, "completion_tokens": 10, "cost": billed}
        usage = await usage_of(engine, Model("openai/gpt-4.1", "openrouter"), told)

        assert usage is not None
        assert usage.cost == Cost(total=billed)


async def test_what_is_not_known_is_none(engine: str) -> None:
    """M05: a model without a price has tokens but no cost; a provider that tells nothing leaves no usage at all."""
    told = {"prompt_tokens": 10, "completion_tokens": 10}

    usage = await usage_of(engine, Model("qwen3:8b", "ollama"), told)
    assert usage is not None
    assert (usage.input, usage.output, usage.cost) == (10, 10, None)
    assert await usage_of(engine, Model("gpt-4.1", "openai"), {}) is None


async def test_your_price_counts(engine: str, tmp_path: Path) -> None:
    """M03: a price in a file of yours is what a call costs."""
    path = tmp_path / "mine.toml"
    path.write_text('[[rules]]\nproviders = ["ollama"]\nprice = { input = 1, output = 2 }\n')
    told = {"prompt_tokens": 500_000, "completion_tokens": 250_000}

    usage = await usage_of(engine, Model("qwen3:8b", "ollama"), told, models=load_models(path))

    assert usage is not None
    assert usage.cost == Cost(0.5, 0.5, total=1.0)


async def test_stream_functions_compute_it_too() -> None:
    """M04: the path of `stream_openrouter` has the same usage."""
    events = (
        {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 10**6}},
        "[DONE]",
    )
    async with open_endpoint([Reply.events(*events)]) as endpoint:
        response = await stream_openrouter(OpenRouterModel("openai/gpt-4.1", base_url=endpoint.url), CONTEXT)
        message = await response.result()

    assert message.usage is not None
    assert message.usage.cost == Cost(input=2.0, total=2.0)


FIVE_MINUTES, HOUR = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}
MADE = Decimal("6.25") * 1000 / 10**6
"""What it costs to write 1,000 tokens for five minutes."""


@pytest.mark.parametrize(
    ("marks", "is_enabled", "written"),
    [
        ([None], False, MADE),
        ([FIVE_MINUTES], True, MADE),
        ([HOUR], False, Decimal("0.01")),
        ([HOUR, None, HOUR], False, Decimal("0.01")),
        ([HOUR], True, None),
        ([HOUR, FIVE_MINUTES], False, None),
    ],
)
async def test_what_is_kept_for_an_hour_has_its_price(
    engine: str, marks: list[dict[str, str] | None], *, is_enabled: bool, written: Decimal | None
) -> None:
    """M04: by the marks of the request; with several lifetimes nobody knows how much was written for which."""
    usage = {"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 1000}
    events = (
        {"type": "message_start", "message": {"usage": usage}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 0}},
        {"type": "message_stop"},
    )
    said = UserMessage([TextContent("word", cache_control=mark) for mark in marks])
    options = StreamOptions(engine=engine, api_key="k", enable_prompt_caching=is_enabled)
    async with open_endpoint([Reply.events(*events)]) as endpoint:
        model = Model("claude-opus-4-6", "anthropic", "anthropic-messages", base_url=endpoint.url)
        with trio.fail_after(30):
            async with open_stream(model, Context("", (said,)), options) as stream:
                told = (await stream.result()).usage

    assert told is not None
    assert told.cache_write == 1000
    assert (told.cost and told.cost.cache_write) == (written and float(written))
