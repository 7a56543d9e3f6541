"""Fixtures of the command line: one folder of a user's files for all tests, and `nait` in an empty folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import nait.cli.config.resolvers  # registers them
from tests.app import kept_yaml
from tests.app.commands import Run, environment, given, make_home, warm
from tests.app.warm import SECONDS

kept_yaml.keep()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder."""
    return make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture
def nait(home: Path, tmp_path: Path) -> Run:
    """Runs `nait` in an empty folder with the user's files; more arguments override."""

    def run(*arguments: str, bare: bool = False, seconds: int = SECONDS) -> subprocess.CompletedProcess[str]:
        usual = [] if bare else given(home)
        return warm().run([*usual, *arguments], cwd=tmp_path, seconds=seconds)

    return run


@pytest.fixture
def process(home: Path, tmp_path: Path) -> Run:
    """The same in a process of its own, for what a fork cannot do."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nait", *given(home), *arguments], cwd=tmp_path, env=environment(),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    return run
