"""What all tests share: the engine parameter, a deadline far above the expected time, and the count of tests per engine."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator

import hypothesis
import pytest
import trio.testing

from tests._forks import Forks, open_forks
from tests.providers import _alchemy as judged
from tinyagent_actors import _alchemy

BUILT = {"httpx": True, "native": _alchemy.AVAILABLE, "alchemy": _alchemy.ALCHEMY_AVAILABLE}
PROGRAMS = (
    "tests.providers._measured_client",
    "tests.providers._many_client",
    "tests.providers._peak_client",
    "tests.agents._turns_client",
    "tinyagent_actors.providers._httpx_engine",  # which is loaded when it is first used
    "tinyagent_actors.providers._native_engine",
    "encodings.idna",
)
ENGINES = tuple(name for name, is_built in BUILT.items() if is_built)
# No test asserts a speed: neither a slow machine nor a busy one makes an example fail.
hypothesis.settings.register_profile("project", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("project")
# For `.ci/mutants.py`, which asks only whether a test notices: nobody reads the example, so that it need not be made small.
hypothesis.settings.register_profile(
    "mutants", hypothesis.settings(), phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate]
)

_MUST_BE_BUILT = os.environ.get("TINYAGENT_NATIVE") == "1"


@pytest.fixture(params=ENGINES, scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """The engines that are built, one after the other."""
    name: str = request.param
    return name


@pytest.fixture
def running_clock() -> trio.testing.MockClock:
    """Time that passes as it does, and can jump: so that a deadline passes after something has begun, however late that was."""
    return trio.testing.MockClock(rate=1.0)


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """What runs those programs of the tests that are measured from within."""
    with open_forks(*PROGRAMS) as forks:
        yield forks


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs the native engine where it is not built, and what judges no engine on `alchemy`."""
    items[:], left_out = judged.choose(items)
    config.hook.pytest_deselected(items=left_out)
    if _alchemy.AVAILABLE:
        return
    if _MUST_BE_BUILT:
        raise pytest.UsageError("TINYAGENT_NATIVE=1, but the native engine is not built")
    left_out = [item for item in items if item.get_closest_marker("native")]
    items[:] = [item for item in items if not item.get_closest_marker("native")]
    config.hook.pytest_deselected(items=left_out)


def pytest_collection_finish() -> None:
    """Look for no garbage in what is there before the first test, thousands of tests and all that was imported; seldom in the rest."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _engine_of(nodeid: str) -> str | None:
    _, bracket, parameters = nodeid.rpartition("[")
    if not bracket:
        return None
    return next((name for name in BUILT if name in parameters.rstrip("]").split("-")), None)


class _EngineCount:
    """Counts the tests that ran on each engine, from the reports, also those of workers."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test whose body ran; one that is known to fail on `alchemy` ran, too."""
        judged.note(report)
        engine = _engine_of(report.nodeid)
        if engine is not None and report.when == "call" and (not report.skipped or hasattr(report, "wasxfail")):
            self.ran[engine] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many tests ran on each engine."""
        said = [f"{name} {self.ran[name]} tests" if built else f"{name}: not built" for name, built in BUILT.items()]
        terminalreporter.write_line(f"engines: {', '.join(said)}")


def pytest_configure(config: pytest.Config) -> None:
    """Count engines in the process that reports, not in the workers."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_EngineCount(), "engine-count")


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every key and base URL of the machine out of the environment."""
    for name in tuple(os.environ):
        if name.endswith(("_API_KEY", "_AUTH_TOKEN", "_BASE_URL")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
