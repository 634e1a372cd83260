"""Random trees, and random things that happen to them, against a model of the rules written down a second time.

`make model` takes 10,000 steps and prints what was covered; among the other tests it takes a share of them. A difference is
shrunk by hypothesis to the fewest and simplest steps that still show it. To replay a run, give its seed: TINYAGENT_MODEL_SEED.
"""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from typing import Any, get_args

import attrs
import hypothesis
import trio
from hypothesis import strategies as st

from tests.supervision._model import Order
from tests.supervision._model_world import INF, Leaf, Restart, Spec, Strategy, Tree
from tests.supervision._rig import TICK, Act, Rig, Step
from tinyagent_actors import open_system
from tinyagent_actors.supervision._decisions import STRATEGIES
from tinyagent_actors.testing import assert_quiescent, run_seed

SHARE = 300
"""Steps among the other tests."""
ALL = 10_000
"""Steps from which on everything is to be covered ..."""
MOST = 3 * ALL
"""... for which so many may be taken."""
LONGEST = 60
EXAMPLES = 20
PHASES_OF_SEARCH = (
    (hypothesis.Phase.generate,)
    if os.environ.get("TINYAGENT_MODEL_SHRINK") == "0"
    else (hypothesis.Phase.generate, hypothesis.Phase.shrink)
)
KINDS = ("normal", "error", "killed", "stopped")
PHASES = ("starting", "running", "restart under way", "supervisor stopping")
WAITS = (0.25, 0.75, 1.5, 4.0, 12.0, 40.0)

restarts = st.sampled_from(get_args(Restart))
strategies = st.sampled_from([strategy for strategy in get_args(Strategy) if strategy in STRATEGIES])
leaves = st.builds(
    Leaf,
    name=st.just(""),
    restart=restarts,
    start_seconds=st.sampled_from([0.0, 1.0, 2.0]),
    stop_seconds=st.sampled_from([0.0, 0.0, 1.0, 2.5, INF]),
    shutdown=st.sampled_from([1.5, 4.0, 4.0, "kill"]),
)


def trees(children: st.SearchStrategy[Spec]) -> st.SearchStrategy[Tree]:
    return st.builds(
        Tree,
        name=st.just(""),
        restart=restarts,
        strategy=strategies,
        children=st.lists(children, min_size=1, max_size=4).map(tuple),
        max_restarts=st.sampled_from([0, 1, 3, 6, 20]),
        max_seconds=st.sampled_from([2.0, 6.0, 20.0]),
        backoff=st.sampled_from([None, (1.0, 5.0)]),
    )


low_trees = trees(leaves)
high_trees = trees(leaves | low_trees)
often: list[Act] = ["return", "crash", "crash", "kill", "stop", "start_child", "start_child", "wait"]
acts = st.sampled_from([*get_args(Act), *often])
steps = st.builds(
    Step, act=acts, target=st.integers(0, 30), amount=st.integers(0, 30), is_near=st.integers(0, 3).map(bool)
)


@attrs.frozen
class Case:
    """What is tried: the trees at the start, the steps, the specs that are started in them, and the order of tasks."""

    trees: list[Tree]
    steps: list[Step]
    specs: list[Spec]
    schedule: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    return Case(
        draw(st.lists(high_trees, min_size=1, max_size=2)),
        draw(st.lists(steps, min_size=10, max_size=LONGEST)),
        draw(st.lists(leaves | low_trees, min_size=1, max_size=6)),
        draw(st.integers(0, 2**16)),
    )


def named(spec: Spec, numbers: itertools.count[int]) -> Any:
    """Give a spec its name, and times that no other one has. Children of a dynamic supervisor are started by order."""
    number = next(numbers)
    own = number * 0.0137
    if isinstance(spec, Tree):
        static = () if spec.strategy == "dynamic" else tuple(named(child, numbers) for child in spec.children)
        backoff = None if spec.backoff is None else (spec.backoff[0] + own / 2, spec.backoff[1] + own)
        return attrs.evolve(
            spec, name=f"s{number}", children=static, max_seconds=spec.max_seconds + own, backoff=backoff
        )
    start = spec.start_seconds and spec.start_seconds + own / 3
    stop = spec.stop_seconds and spec.stop_seconds + own / 5
    shutdown = spec.shutdown if spec.shutdown == "kill" else spec.shutdown + own / 7
    return attrs.evolve(spec, name=f"w{number}", start_seconds=start, stop_seconds=stop, shutdown=shutdown)


async def play(case: Case, cells: Counter[tuple[str, str, str, str]]) -> int:
    """Do all of a case to both, comparing after each step; how many steps were taken."""
    numbers = itertools.count(1)
    taken = 0
    async with open_system(max_restarts=10**9, shutdown=10**6) as system, trio.open_nursery() as nursery:
        rig = Rig(system, nursery)

        async def settle() -> None:
            await rig.pass_time(TICK)
            rig.compare()

        for tree in case.trees:
            spec = named(tree, numbers)
            rig.give_order(rig.root, Order("start_child", spec.name, spec))
            await settle()
        for boss in rig.bosses():
            for spec in case.specs if boss.spec.strategy == "dynamic" else ():
                other = named(spec, numbers)
                rig.give_order(boss, Order("start_child", other.name, other))
                await settle()
        for step, spec in zip(case.steps, itertools.cycle(case.specs), strict=False):
            if step.act == "wait":
                await rig.pass_time(WAITS[step.amount % len(WAITS)])
            elif not rig.do(step, named(spec, numbers)):
                continue
            await settle()
            taken += 1
        await rig.pass_time(1000)
        rig.compare()
        cells.update(rig.world.cells)
        world, root = rig.world, rig.root
    root.stop()
    world.pass_time(1000)
    assert Counter(rig.trace) == Counter(world.trace)
    assert_quiescent(system)
    return taken


def explore(wanted: int, seed: int) -> tuple[int, Counter[tuple[str, str, str, str]]]:
    """Take at least so many steps; where all is wanted, more, if they do not cover all."""
    cells: Counter[tuple[str, str, str, str]] = Counter()
    taken = 0
    while taken < wanted or (taken < MOST and wanted >= ALL and missing_of(cells)):
        taken += explore_some(EXAMPLES, seed + taken, cells)
    return taken, cells


def explore_some(examples: int, seed: int, cells: Counter[tuple[str, str, str, str]]) -> int:
    """Try so many cases; how many steps that were."""
    taken = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=PHASES_OF_SEARCH,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(cases())
    def run(case: Case) -> None:
        nonlocal taken
        taken += run_seed(play, case, cells, seed=case.schedule)

    run()
    return taken


def missing_of(cells: Counter[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """Give what was never seen."""
    every = itertools.product(STRATEGIES, get_args(Restart), KINDS, PHASES)
    return [cell for cell in every if not cells[cell]]


def report(seed: int, taken: int, cells: Counter[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """Print what was covered; give what was not."""
    lines = [f"{taken} steps, seed {seed}: no difference. Exits by strategy, restart type, kind and phase:"]
    lines.append(f"{'':32}" + "".join(f"{phase:>22}" for phase in PHASES))
    for row in itertools.product(STRATEGIES, get_args(Restart), KINDS):
        counts = "".join(f"{cells[(*row, phase)]:22}" for phase in PHASES)
        lines.append(f"{row[0]:13}{row[1]:10} {row[2]:8}{counts}")
    missing = missing_of(cells)
    lines.append(f"empty: {missing or 'none'}")
    print("", *lines, sep="\n")  # noqa: T201  # the account of the run
    return missing


def test_real_trees_do_as_the_model() -> None:
    """States, starts and ends of random trees, and what orders come to, are those of the rules, after every step."""
    wanted = int(os.environ.get("TINYAGENT_MODEL_STEPS", SHARE))
    seed = int(os.environ.get("TINYAGENT_MODEL_SEED", random.randrange(10**6)))  # noqa: S311  # no secret
    taken, cells = explore(wanted, seed)
    missing = report(seed, taken, cells)

    assert taken >= wanted
    if wanted >= ALL:
        assert missing == []


def test_a_start_by_order_in_the_moment_in_which_its_supervisor_gives_up() -> None:
    """Found by random steps: the child may have started before its turn to stop comes, or not; all else is as ruled."""
    leaf = Leaf("", "permanent", shutdown=1.5)
    slow, brief = attrs.evolve(leaf, start_seconds=1.0, stop_seconds=1.0), attrs.evolve(leaf, restart="temporary")
    alone = Tree("", "permanent", "one_for_one", (leaf, leaf, leaf), 0, 2.0)
    together = Tree("", "permanent", "one_for_all", (slow, brief, leaf), 1, 2.0)
    trees = [Tree("", "permanent", "one_for_one", (leaf,), 0, 2.0), Tree("", "permanent", "dynamic", (), 0, 2.0)]
    steps = [
        Step("wait", 0, 2, is_near=False),
        Step("return", 7, 0, is_near=False),
        Step("stop", 1, 0, is_near=True),
        Step("start_child", 0, 0, is_near=False),
        Step("restart_child", 0, 0, is_near=False),
        Step("return", 0, 0, is_near=True),
        Step("start_child", 0, 1, is_near=True),
        Step("return", 0, 0, is_near=True),
    ]
    for seed in range(20):
        assert run_seed(play, Case(trees, steps, [leaf, alone, together], seed), Counter(), seed=seed) == len(steps)
