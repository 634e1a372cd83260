"""Orders of tasks: a function of the seed, many of them, and back to what it was."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import trio

from tinyagent_actors.testing import deterministic, run_seed, run_seeds
from tinyagent_actors.testing._schedule import SEED_VARIABLE
from tinyagent_actors.testing._trio_schedule import seeded_schedule


@pytest.fixture(autouse=True)
def no_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no seed of the caller's stand in the environment."""
    monkeypatch.delenv(SEED_VARIABLE, raising=False)


async def order_of(tasks: int) -> list[int]:
    order: list[int] = []

    async def note(number: int) -> None:
        await trio.lowlevel.checkpoint()
        order.append(number)
        await trio.sleep(1)
        order.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(tasks):
            nursery.start_soon(note, number)
    return order


def trio_module() -> Any:
    return trio._core._run  # type: ignore[attr-defined]  # private, the point of this


def test_this_trio_has_what_a_schedule_needs() -> None:
    """Its two private names are there, and of the kind they were."""
    module = trio_module()

    assert isinstance(module._ALLOW_DETERMINISTIC_SCHEDULING, bool)
    assert isinstance(module._r, random.Random)


def test_a_trio_without_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its version, and before anything is run."""
    monkeypatch.delattr(trio_module(), "_r")

    with pytest.raises(RuntimeError, match=trio.__version__):
        run_seed(order_of, 2, seed=1)


def test_a_seed_is_an_order() -> None:
    """The same one twice is the same order; twenty of them are more than ten orders."""
    orders = [run_seed(order_of, 5, seed=seed) for seed in range(20)]

    assert [run_seed(order_of, 5, seed=seed) for seed in range(20)] == orders
    assert len({tuple(order) for order in orders}) > 10


def test_everything_is_as_it_was() -> None:
    """Trio's switch and generator, and the module random: also when the run raised."""
    module = trio_module()
    before = (module._ALLOW_DETERMINISTIC_SCHEDULING, module._r.getstate(), random.getstate())

    async def fails() -> None:
        random.random()  # noqa: S311  # no secret
        await trio.lowlevel.checkpoint()
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  # it has no text
        run_seed(fails, seed=3)
    with seeded_schedule(1):
        assert module._ALLOW_DETERMINISTIC_SCHEDULING

    assert (module._ALLOW_DETERMINISTIC_SCHEDULING, module._r.getstate(), random.getstate()) == before


def test_random_is_seeded() -> None:
    """What draws from the module draws the same again."""

    async def draw() -> float:
        await trio.lowlevel.checkpoint()
        return random.random()  # noqa: S311  # no secret

    assert run_seed(draw, seed=7) == run_seed(draw, seed=7) != run_seed(draw, seed=8)


def test_a_failing_seed_is_named_and_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The note says which; with that in the environment only that one is run."""
    ran: list[list[int]] = []

    async def racy() -> None:
        ran.append(await order_of(3))
        assert ran[-1][:3] != [2, 1, 0]

    with pytest.raises(AssertionError) as caught:
        run_seeds(racy, seeds=100)
    seed = len(ran) - 1
    assert caught.value.__notes__ == [
        f"{racy.__qualname__} failed under seed {seed}; to replay it: TINYAGENT_SEED={seed}"
    ]

    monkeypatch.setenv(SEED_VARIABLE, str(seed))
    with pytest.raises(AssertionError):
        run_seeds(racy, seeds=100)
    assert ran[-1] == ran[-2]
    assert len(ran) == seed + 2


def test_a_deadlock_is_a_failing_seed() -> None:
    """Nobody waits for it: the virtual deadline is there at once."""
    with pytest.raises(trio.TooSlowError):
        run_seeds(trio.Event().wait, seeds=1)


def test_the_decorator_runs_each_seed() -> None:
    """With the arguments of the test, in virtual time; the result is a plain function with its name."""
    ran: list[tuple[int, str]] = []

    @deterministic(seeds=(4, 7))
    async def test_inner(word: str) -> None:
        await trio.sleep(3600)
        ran.append((random.randrange(10**6), word))  # noqa: S311  # no secret

    test_inner("word")

    assert ran == [(random.Random(seed).randrange(10**6), "word") for seed in (4, 7)]  # noqa: S311  # as above
    assert test_inner.__name__ == "test_inner"


@pytest.mark.parametrize("word", ["a", "b"])
@deterministic(seeds=2)
async def test_pytest_takes_it_for_a_plain_test(word: str, tmp_path: Path) -> None:
    """With parameters and fixtures."""
    await trio.sleep(3600)

    assert word in "ab"
    assert tmp_path.name.startswith("test_pytest")
