"""The folder of the jobs' files, and the counts of the cases in pytest's summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.app.commands import make_home
from tests.faults.counts import COLUMNS, FILE, summary
from tests.faults.jobs import run, words


def pytest_sessionstart(session: pytest.Session) -> None:
    """Forget the counts of an earlier session, in the process that starts the others. Listing tests forgets none."""
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        FILE.unlink(missing_ok=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    lines = summary()
    if lines:
        terminalreporter.section("faults")
        terminalreporter.write_line(COLUMNS)
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def command(home: Path) -> list[str]:
    return words(home)


@pytest.fixture(scope="session")
def whole(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed job."""
    folder = tmp_path_factory.mktemp("whole")
    done = run(command, folder)
    assert done.returncode == 0, done.stderr
    return folder
