"""A part from outside the package is one class and one YAML, found by `_target_` alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.app.commands import given, make_home, warm

CODE = """
from dataclasses import dataclass

from nait.core.ranking.score_table import ScoreTable


@dataclass(frozen=True)
class Shortest:
    penalty: float = 1.0

    def score(self, pool, targets, extractor):
        values = self.penalty * extractor.lengths(pool)[:, None].astype(float)
        return ScoreTable(pool.ids, ("any",), values, unit="tokens", definition="token length")
"""
CONFIG = """\
# The shortest rows first.
defaults:
  - override /order@_global_.order: lowest
name: shortest
_target_: outside.Shortest
penalty: 1.0
"""


@pytest.mark.parametrize("order", [[], ["order=highest"]], ids=["its own order", "the user's order"])
def test_a_selector_from_outside_needs_one_class_and_one_yaml(tmp_path: Path, order: list[str]) -> None:
    home = make_home(tmp_path / "home")
    (tmp_path / "outside.py").write_text(CODE)
    (tmp_path / "mine" / "selector").mkdir(parents=True)
    (tmp_path / "mine" / "selector" / "shortest.yaml").write_text(CONFIG)
    words = ["--config-dir", "mine", *given(home), "selector=shortest", "stages=[select]", *order]
    done = warm().run(words, cwd=tmp_path)  # modules of the folder are importable, as with `python -m nait`
    assert done.returncode == 0, done.stderr
    assert "follows length" in done.stderr  # the alarm for a score that is length itself
    (selected,) = (tmp_path / "runs").rglob("selected.jsonl")
    lengths = [len(line) for line in (home / "pool.jsonl").read_text().splitlines()]
    mean = sum(map(len, selected.read_text().splitlines())) / 4
    assert (mean < min(lengths) + 4) if not order else (mean > max(lengths) - 8)


PARTS = """
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class ByName:
    \"\"\"By id, whatever the scores say.\"\"\"

    def __call__(self, table):
        return np.array(sorted(np.flatnonzero(table.eligible), key=lambda row: table.ids[row]), dtype=np.int64)


@dataclass(frozen=True)
class Dozens:
    dozens: int

    @property
    def label(self):
        return f"{self.dozens} dozen"

    def __call__(self, ranking, answer_tokens):
        return min(12 * self.dozens, len(ranking))


class Notes:
    def __init__(self, folder):
        self.folder = Path(folder)

    def start(self, name, config, *, group, tags, kind="", key=""):
        pass

    log = summary = histogram = table = page = artifact = lambda self, *_, **__: None

    def finish(self, *, failed=False):
        try:
            (self.folder / "notes.txt").write_text("failed" if failed else "done")
        except OSError:
            pass
"""
CONTRACTS = """
from nait.testing import BudgetContract, OrderContract, ScorerContract, TrackerContract

from outside import Shortest
from parts import ByName, Dozens, Notes


class TestShortest(ScorerContract):
    def scorer(self):
        return Shortest()


class TestByName(OrderContract):
    def order(self):
        return ByName()


class TestDozens(BudgetContract):
    def budgets(self):
        return [Dozens(1), Dozens(2)]


class TestNotes(TrackerContract):
    def tracker(self, folder):
        return Notes(folder)
"""


def package(folder: Path) -> None:
    """Another package, with the YAML of its parts in `mine`."""
    (folder / "outside.py").write_text(CODE)
    (folder / "parts.py").write_text(PARTS)
    (folder / "test_parts.py").write_text(CONTRACTS)
    options = {
        "selector/shortest": CONFIG,
        "order/by_name": "_target_: parts.ByName\n",
        "budget/dozens": "_target_: parts.Dozens\ndozens: 1\n",
        "tracking/notes": "_target_: parts.Notes\nfolder: ${paths.run}\n",
    }
    for option, text in options.items():
        (folder / "mine" / option).parent.mkdir(parents=True, exist_ok=True)
        (folder / "mine" / f"{option}.yaml").write_text(text)


def test_an_order_a_budget_and_a_tracker_from_outside_work_from_config_to_leaderboard(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    package(tmp_path)
    words = [word for word in given(home) if not word.startswith("tracking")]
    words += ["selector=shortest", "order=by_name", "budget=dozens", "budget.dozens=2", "tracking=notes"]
    done = warm().run(["--config-dir", "mine", *words, "stages=[select,report]"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (manifest,) = (tmp_path / "runs").rglob("run.json")
    assert json.loads(manifest.read_text())["budget"] == "2 dozen"
    assert (manifest.parent / "notes.txt").read_text() == "done"
    ids = [json.loads(line)["mine"] for line in (manifest.parent / "selected.jsonl").read_text().splitlines()]
    assert len(ids) == 24
    assert "2 dozen" in done.stdout


def test_another_package_runs_the_contracts(tmp_path: Path) -> None:
    package(tmp_path)
    done = warm().run(["-q", "-p", "no:cacheprovider", "test_parts.py"], cwd=tmp_path, module="pytest")
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout
