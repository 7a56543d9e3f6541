"""The estimate of the paper's GPU hours covers its experiments and benchmarks, and the document has its numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from benchmarks.paper_hours import BENCHMARKS, EXPERIMENTS, GPUS, phases

ROOT = Path(__file__).parents[2]
BATCH_TOKENS = 65_536
"""What eval.batch_tokens=auto gives Llama-2-7B on an H200."""


def test_each_experiment_and_each_benchmark_of_the_paper_is_estimated() -> None:
    assert {path.stem for path in (ROOT / "conf/experiment").glob("paper*.yaml")} == set(EXPERIMENTS)
    suite = yaml.safe_load((ROOT / "conf/eval/paper.yaml").read_text("utf-8"))
    assert suite["tasks"] == list(BENCHMARKS)


def test_the_document_has_these_hours() -> None:
    rows = re.findall(
        r"^\| `(paper\w*)` \|.*\| ([\d.]+) \| [^|]+ \|$", (ROOT / "docs/paper.md").read_text("utf-8"), re.M
    )
    assert {name for name, _ in rows} == set(EXPERIMENTS)
    for name, hours in rows:
        assert float(hours) == pytest.approx(
            sum(phases(EXPERIMENTS[name], GPUS["h200"], BATCH_TOKENS)), rel=0.05
        )


def test_a_pass_by_hand() -> None:
    select, train, evaluate = phases(EXPERIMENTS["paper_cost"], GPUS["a100"], BATCH_TOKENS)
    operations = 2 * 6.74e9 * 52_002 * 240  # of one forward of the pool
    assert select == pytest.approx(22.6 * operations / (0.5 * 312e12) / 3600)
    assert (train, evaluate) == (0, 0)
