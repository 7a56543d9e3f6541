"""Classes that moved keep their names in store addresses."""

from __future__ import annotations

import re
from pathlib import Path

from nait.stages.artifacts.stored_names import stored_names

CONF = Path(__file__).resolve().parents[2] / "conf"
KNOWN = {
    "nait.baselines.base.Base",
    "nait.baselines.controls.tilted.TiltedRandom",
    "nait.baselines.file_scores.FileScores",
    "nait.baselines.full.Full",
    "nait.baselines.ifd.Ifd",
    "nait.baselines.length.Length",
    "nait.baselines.less.Less",
    "nait.baselines.matched.LengthMatched",
    "nait.baselines.perplexity.Perplexity",
    "nait.baselines.random.Random",
    "nait.baselines.rds.Rds",
    "nait.baselines.selectit.SelectIt",
    "nait.baselines.warmup.Warmup",
    "nait.core.budgets.Count",
    "nait.core.budgets.Ratio",
    "nait.core.budgets.Tokens",
    "nait.core.orders.BestRank",
    "nait.core.orders.EqualQuota",
    "nait.core.orders.FromQuantile",
    "nait.core.orders.Highest",
    "nait.core.orders.Lowest",
    "nait.core.orders.MeanZScore",
    "nait.core.orders.Middle",
    "nait.core.orders.RoundRobin",
    "nait.core.orders.Shuffled",
    "nait.models.templates.ChatTemplate",
    "nait.models.templates.TextTemplate",
    "nait.models.templates.read_template",
    "nait.nano.oracle.Oracle",
    "nait.neurons.scorer.Nait",
    "nait.training.adapter.LoraRecipe",
    "nait.training.none.NoTraining",
    "nait.training.trainer.FineTune",
}


def test_every_class_of_a_method_has_the_name_that_stores_know() -> None:
    found = {
        name
        for group in ("selector", "order", "budget", "train", "template")
        for file in (CONF / group).glob("*.yaml")
        for name in re.findall(r"_target_: (nait[\w.]+)", file.read_text(encoding="utf-8"))
    }
    assert {stored_names({"_target_": name})["_target_"] for name in found} == KNOWN


def test_names_are_found_at_any_depth() -> None:
    config = {"a": [{"_target_": "nait.core.ranking.orders.Highest", "q": 1}], "_target_": "other.Thing"}
    assert stored_names(config) == {
        "a": [{"_target_": "nait.core.orders.Highest", "q": 1}],
        "_target_": "other.Thing",
    }
