"""Laws of the paper's experiments: each composes with every model by name, and runs end to end on a mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

import nait.cli.config.resolvers  # noqa: F401  # registers the resolvers of the YAML files
from nait.cli.help import groups
from tests.app.commands import Run, manifests
from tests.app.test_presets import HUB_MODELS
from tests.hub_mirror import save_mirror

EXPERIMENTS = tuple(name for name in groups()["experiment"] if name.startswith("paper"))
PUBLISHED = {
    "epochs": 3, "learning_rate": 2e-5, "batch_size": 128, "scheduler": "cosine", "warmup": 0.03,
    "optimizer": "adamw_8bit", "method": "full", "lora": None, "max_steps": None,
}  # fmt: skip


@pytest.fixture
def hydra_session() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_module("nait.conf", version_base="1.3"):
        yield
    GlobalHydra.instance().clear()


def composed(*words: str) -> Any:
    return compose("run", overrides=list(words), return_hydra_config=True)


def check(experiment: str, model: str) -> None:
    """The composed config has the published recipe, the pool and targets of the paper, and the model."""
    config = composed(f"experiment={experiment}", f"model={model}")
    assert {key: config.train[key] for key in PUBLISHED} == PUBLISHED
    assert (config.model.path, config.model.max_length) == (HUB_MODELS[model], 512)
    assert (config.data.path, config.budget.ratio) == ("vicgalle/alpaca-gpt4", 0.1)
    assert {*config.target.sets} >= {"gsm8k", "mmlu", "humaneval_like", "tydiqa", "bbh"}
    assert config.template.prompt.startswith("Below is an instruction")
    assert config.eval.online


@pytest.mark.no_cover
@pytest.mark.usefixtures("hydra_session")
def test_every_experiment_has_the_published_recipe_and_every_model_fits_it() -> None:
    assert len(EXPERIMENTS) == 9
    for experiment, model in zip(cycle(EXPERIMENTS), HUB_MODELS, strict=False):
        check(experiment, model)


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.usefixtures("hydra_session")
def test_every_experiment_composes_with_every_model() -> None:
    for experiment in EXPERIMENTS:
        for model in HUB_MODELS:
            check(experiment, model)


@pytest.mark.usefixtures("hydra_session")
def test_a_mirror_replaces_the_hub_for_pool_references_and_benchmarks() -> None:
    config = composed("experiment=paper_main", "mirror=/copies")
    assert {config[group].mirror for group in ("data", "target", "eval")} == {"/copies"}
    assert config.eval.online is False


SMALL = {
    "paper": [],
    "paper_main": ["target.capabilities=[gsm8k],[gsm8k,bbh]", "seed=0"],
    "paper_models": ["model=local", "seed=0"],
    "paper_cost": ["selector=nait,ifd_q2q,rds"],
    "paper_transfer": ["seed=0"],
    "paper_ratio": ["budget.ratio=0.1,1.0", "seed=0"],
    "paper_reference_size": ["target.rows=4,8", "target.seed=0", "seed=0"],
    "paper_extremes": ["seed=0"],
    "paper_layers": ["order=highest"],
}
JOBS = {
    "paper": 1, "paper_main": 10, "paper_models": 3, "paper_cost": 3, "paper_transfer": 20, "paper_ratio": 4,
    "paper_reference_size": 4, "paper_extremes": 4, "paper_layers": 16,
}  # fmt: skip
"""Number of jobs of each experiment on five layers, with the words of `SMALL`."""
MOST_SECONDS = 1800
"""Twenty trainings take a minute on two idle cores, and much longer on busy ones."""


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_runs_end_to_end_on_a_mirror(
    experiment: str, nait: Run, tmp_path: Path, shared: Callable[[str], Path]
) -> None:
    mirror = save_mirror(tmp_path / "hub")
    words = SMALL[experiment]
    small = [
        "model=local", f"model.path={shared('models/stories260K')}", f"mirror={mirror}", "eval=lm_eval",
        "eval.tasks=[gsm8k_cot]", "eval.limit=2", "eval.max_gen_toks=4", "train.optimizer=adamw", "train.max_steps=1",
        "train.batch_size=4", "tracking=files", "traits=none", "target.rows=8",
        "budget.allow_fewer=true",
    ]  # fmt: skip
    given = [word for word in small if word.split("=")[0] not in {one.split("=")[0] for one in words}]
    done = nait(f"experiment={experiment}", *given, *words, bare=True, seconds=MOST_SECONDS)
    assert done.returncode == 0, done.stderr[-2000:]
    found = manifests(tmp_path)
    assert len(found) == JOBS[experiment]
    assert {one["status"] for one in found} == {"done"}
    (record,) = {yaml.safe_dump(one["config"]["train"]) for one in found}
    assert "learning_rate: 2.0e-05" in record
