"""LESS against the numbers of its published code (../shared/parity)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.baselines.less import Checkpoint, Less
from nait.models.prompts.templates import TextTemplate
from tests.conftest import read_target
from tests.parity import assert_same_ranking

PUBLISHED = TextTemplate(prompt="<|user|>\n{user}\n<|assistant|>\n", suffix="</s>\n", strip=True, eos="never")
"""The published code puts a new line behind the end token, and the loss on both."""
VARIANTS = [("less_exact", "less", 3e-6), ("less_sgd", "sgd", 5e-6)]


def scorer(parity: Path, adam: Any, reduce: Any) -> Less:
    point = Checkpoint(str(parity / "adapter"), str(parity / "adam_moments.safetensors"))
    return Less(adam=adam, reduce=reduce, checkpoints=[point], template=PUBLISHED)


@pytest.mark.parametrize(("method", "adam", "tolerance"), VARIANTS)
@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_influences_and_ranking(
    method: str, adam: str, tolerance: float, reduce: str,
    parity: Path, methods: Any, rows: Any, open_at: Any,
) -> None:  # fmt: skip
    names = ("target_a", "target_b")
    targets = [read_target(parity / f"{name}.jsonl", name) for name in names]
    table = scorer(parity, adam, reduce).score(rows, targets, open_at(256))
    for name in names:
        published = methods[method]["targets"][name]["rows"]
        wanted = np.array([published[key]["float64"][reduce] for key in rows.ids])
        np.testing.assert_allclose(table.column(name), wanted, atol=tolerance, rtol=0)
        assert_same_ranking(table.column(name), wanted)


@pytest.mark.parametrize(("method", "adam", "tolerance"), VARIANTS)
@pytest.mark.parametrize("name", ["target_a", "target_b"])
def test_cosines_to_each_reference_row(
    method: str, adam: str, tolerance: float, name: str,
    parity: Path, methods: Any, rows: Any, open_at: Any,
) -> None:  # fmt: skip
    target = read_target(parity / f"{name}.jsonl", name)
    reference = methods[method]["targets"][name]
    wanted = np.array([reference["rows"][key]["float64"]["per_target_row"] for key in rows.ids])
    found = scorer(parity, adam, "mean").influences(rows, [target], open_at(256))[0]
    order = [[example.id for example in target.examples].index(key) for key in reference["target_ids"]]
    np.testing.assert_allclose(found[:, order], wanted, atol=tolerance, rtol=0)


def test_texts_are_cut_where_the_published_code_cuts_them(methods: Any, rows: Any, open_at: Any) -> None:
    table = open_at(256).under(template=PUBLISHED).tokens(rows)
    for place, key in enumerate(rows.ids):
        wanted = methods["less_exact"]["norms"][key]["tokens"]
        assert [int(table.lengths[place]), int(table.answer_tokens[place])] == wanted, key
