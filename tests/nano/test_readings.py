"""NAIT's readings on the embedded world, by their presets: the order this world gives them, and no other world must.

On a real model the order is another (nait/neurons/README.md): what holds in both is that the contrast leads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

from nait.core.ranking.ground_truth import TruthColumns, measure
from nait.nano import world
from nait.nano.oracle import Oracle
from nait.nano.pools import nano_model, nano_pool, nano_targets
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.stages.select import measure_together
from nait.store import Store

SIZE, CHOSEN = 500, 50
READINGS = ("nait", "nait_end", "nait_mlp", "nait_mlp_end", "nait_mean", "nait_contrast")


def composed(selector: str) -> Any:
    """The run's config with this selector."""
    GlobalHydra.instance().clear()
    with initialize_config_module("nait.conf", version_base="1.3"):
        return compose("run", overrides=[f"selector={selector}"])


def keys(selector: str) -> dict[str, Any]:
    return {key: value for key, value in composed(selector).selector.items() if key != "name"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """reading -> mean over the five targets of the precision of each one's own best tenth."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    pool, targets = nano_pool(SIZE).blind(), nano_targets(None)
    labels = TruthColumns("family", "skill", "clean", "lookalike").labels(world.pool_rows(SIZE))
    x = StoredExtractor(
        nano_model(), Store(tmp_path_factory.mktemp("store")), instantiate(composed("nait").template),
        engine=Engine(progress=False),
    )  # fmt: skip
    scorers = {name: instantiate(keys(name)) for name in READINGS}
    measure_together(pool, targets, list(scorers.values()), x)
    tables = {
        name: scorer.score(pool, targets, x) for name, scorer in {**scorers, "oracle": Oracle(SIZE)}.items()
    }
    torch.set_num_threads(before)
    names = [target.name for target in targets]
    return {
        name: measure(labels, range(CHOSEN), names, {one: table.column(one) for one in names})[
            "precision each"
        ]
        for name, table in tables.items()
    }


def test_the_contrast_leads_between_the_oracle_and_every_reading(found: Mapping[str, float]) -> None:
    assert found["oracle"] == 1.0
    assert found["nait_contrast"] > 0.9
    assert found["nait_contrast"] > max(found[name] for name in READINGS if name != "nait_contrast") + 0.1


def test_the_readings_differ_as_the_tables_of_this_world_say(found: Mapping[str, float]) -> None:
    wanted = {"nait": 0.32, "nait_end": 0.47, "nait_mlp": 0.16, "nait_mlp_end": 0.55, "nait_mean": 0.70}
    assert {name: found[name] for name in wanted} == pytest.approx(
        wanted, abs=0.06
    )  # of 5,000 rows; here 500


@pytest.mark.parametrize(
    ("name", "of", "delta"),
    [
        ("nait_end", "nait", {"end_token": True}),
        ("nait_mlp", "nait", {"site": "mlp"}),
        ("nait_mlp_end", "nait_mlp", {"end_token": True}),
        ("nait_mean", "nait_mlp", {"feature": "mean", "reference_feature": "mean"}),
        (
            "nait_contrast", "nait_mean",
            {"direction": "contrast", "sign": "none", "layer_weight": "zscore"},
        ),
    ],
)  # fmt: skip
def test_a_reading_differs_from_another_in_these_keys_alone(
    name: str, of: str, delta: Mapping[str, Any]
) -> None:
    assert keys(name) == {**keys(of), **delta}


def test_the_control_of_the_contrast_is_as_long_as_the_contrast_selects() -> None:
    assert instantiate(keys("random_length_matched_contrast")).like == instantiate(keys("nait_contrast"))
