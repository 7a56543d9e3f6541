"""The page of results has the numbers of the rows, and the published ones."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from nait.sweeps.reports.submitted_rows import read_rows
from tests.sweeps.test_submission import Sweep

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results_page", ROOT / "docs" / "site" / "results_page.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def project(root: Path) -> Path:
    """A folder with the published figures and no row."""
    (root / "sweeps").mkdir(parents=True)
    shutil.copy(ROOT / "sweeps" / "published.yaml", root / "sweeps")
    return root


def test_each_benchmark_has_its_methods_beside_random(page: ModuleType, tmp_path: Path) -> None:
    root, sweep = project(tmp_path / "project"), Sweep(tmp_path)
    sweep.out = root / "community" / "leaderboard"
    sweep.whole("nait", "rds").submit()
    text = page.results(root)
    for row in read_rows(sweep.out):
        for one in row["results"]:
            assert f"### {one['task']} (" in text
            (line,) = [
                line for line in text.split(f"### {one['task']} (")[1].split("###")[0].splitlines()
                if line.startswith(f"| {row['method']} ")
            ]  # fmt: skip
            for number in (
                f"{one['value']:.3f}",
                f"{one['random']:.3f}",
                f"{one['minus_random']['value']:+.3f} [",
            ):
                assert number in line
            assert ("better" in line) == one["minus_random"]["significant"]


def test_without_a_row_the_published_figures_are_shown(page: ModuleType, tmp_path: Path) -> None:
    text = page.results(project(tmp_path))
    assert "No row yet." in text
    for part in ("| 36.03 | main results", "Mistral-7B-v0.1", "mean of nine, gain over full | 21.92"):
        assert part in text
