"""What all tests share: one thread, settled randomness, a cache of their own, and the rule on mirror tests."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Two threads on two busy cores measured several times slower than one; the libraries read this when imported.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ.setdefault("TRANSFUSE_CACHE", str(Path(__file__).parent.parent / ".cache"))

settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

MIRROR = os.environ.get("TRANSFUSE_MIRROR", "")
HAS_MIRROR = bool(MIRROR) and Path(MIRROR).is_dir()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Undo what another test did to torch's number of threads; costs nothing where torch was never imported."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read each published corpus once in a test that asks for the same ones in many tasks; losses are not told."""
    from transfuse import corpora

    read = cache(corpora.load)
    monkeypatch.setattr(corpora, "load", lambda name, losses=None: read(name))


FAMILIES = ("bert", "electra", "mpnet", "roberta", "modernbert", "deberta-v2", "xlnet")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder with a tiny random transformer of each family."""
    from tiny import make

    return {family: make(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Each family's name."""
    name: str = request.param
    return name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests on real corpora where there are none."""
    if not HAS_MIRROR:
        skip = pytest.mark.skip(reason="no real corpora here: TRANSFUSE_MIRROR names no folder of archives")
        for item in items:
            if item.get_closest_marker("mirror"):
                item.add_marker(skip)


def pytest_configure(config: pytest.Config) -> None:
    """Guard a full run of continuous integration; with pytest-xdist only the controller sees all reports."""
    chosen = config.args_source is not config.ArgsSource.TESTPATHS or config.option.keyword or config.option.markexpr
    if os.environ.get("CI") and MIRROR and not chosen and not hasattr(config, "workerinput"):
        config.pluginmanager.register(MirrorGuard())


class MirrorGuard:
    """Fails a run in which the mirror was named and a test on real corpora did not run, or none exists."""

    def __init__(self) -> None:
        self.ran = 0
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what became of every mirror test; one that is expected to fail has run."""
        if "mirror" in report.keywords:
            if report.skipped and not hasattr(report, "wasxfail"):
                self.skipped.append(report.nodeid)
            elif report.when == "call":
                self.ran += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn success into failure; a run that failed anyway keeps its status."""
        if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED} and self.complaint:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why."""
        if self.complaint:
            terminalreporter.write_line(self.complaint, red=True)

    @property
    def complaint(self) -> str:
        """What is wrong, or nothing."""
        if self.skipped:
            return f"TRANSFUSE_MIRROR is set, yet skipped: {', '.join(self.skipped)}"
        return "" if self.ran else "TRANSFUSE_MIRROR is set, yet no test marked mirror ran"
