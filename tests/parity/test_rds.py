"""RDS+ against the numbers of its published code (../shared/parity)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import read_target
from tests.parity import assert_same_ranking


@pytest.mark.parametrize("name", ["target_a", "target_b"])
def test_cosines_to_each_reference_row(
    name: str, parity: Path, preset: Any, methods: Any, rows: Any, open_at: Any
) -> None:
    reference = methods["rds_plus"]["targets"][name]
    target = read_target(parity / f"{name}.jsonl", name)
    table = preset("selector=rds", "+template@selector.template=tulu").score(rows, [target], open_at(2048))
    assert table.targets == tuple(f"{name}/{key}" for key in reference["target_ids"])
    wanted = np.array([reference["rows"][key]["float64"]["per_target_row"] for key in rows.ids])
    np.testing.assert_allclose(table.values, wanted, atol=5e-6, rtol=0)
    for column in range(wanted.shape[1]):
        assert_same_ranking(table.values[:, column], wanted[:, column])


@pytest.mark.parametrize("reduce", ["max", "mean"])
def test_a_target_is_the_mean_or_the_best_of_its_rows(
    reduce: str, parity: Path, preset: Any, methods: Any, rows: Any, open_at: Any
) -> None:
    names = ("target_a", "target_b")
    targets = [read_target(parity / f"{name}.jsonl", name) for name in names]
    table = replace(preset("selector=rds", "+template@selector.template=tulu"), reduce=reduce).score(
        rows, targets, open_at(2048)
    )
    assert table.targets == names
    for name in names:
        published = methods["rds_plus"]["targets"][name]["rows"]
        wanted = np.array([published[key]["float64"][reduce] for key in rows.ids])
        np.testing.assert_allclose(table.column(name), wanted, atol=5e-6, rtol=0)
        assert_same_ranking(table.column(name), wanted)
