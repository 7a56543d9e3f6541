"""A selector from outside the package is one class and one YAML, found by `_target_` alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.test_main import environment, given, make_home

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
    variables = environment()
    variables["PYTHONPATH"] += f":{tmp_path}"
    words = ["--config-dir", "mine", *given(home), "selector=shortest", "stages=[select]", *order]
    command = [sys.executable, "-m", "nait", *words]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "follows length" in done.stderr  # the alarm for a score that is length itself
    (selected,) = (tmp_path / "runs").rglob("selected.jsonl")
    lengths = [len(line) for line in (home / "pool.jsonl").read_text().splitlines()]
    mean = sum(map(len, selected.read_text().splitlines())) / 4
    assert (mean < min(lengths) + 4) if not order else (mean > max(lengths) - 8)
