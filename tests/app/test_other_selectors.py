"""The config of another selector is what composing the job with it gives, whatever the job's settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from nait.cli.config import other_selectors as module
from nait.cli.config.other_selectors import other_selectors
from nait.cli.config.plain_config import resolve

HERE = "paths.run=runs"
JOBS = [
    ["selector=random", "seed=3"],
    ["selector=nait", "selector.layers=[1]", "seed=4", "template=chat", "target.capabilities=[math]"],
    ["selector=rds", "order=round_robin", "data=nano_large", "budget.ratio=0.2"],
    ["sweep=methods", "seed=1"],
]


@pytest.fixture(autouse=True)
def hydra_session() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_module("nait.conf", version_base="1.3"):
        yield
    GlobalHydra.instance().clear()


@pytest.mark.parametrize("job", JOBS, ids=" ".join)
def test_the_config_is_that_of_the_whole_composition(job: list[str]) -> None:
    config_of = other_selectors(compose("run", overrides=[*job, HERE]), job)
    kept = [word for word in job if not word.startswith(("selector", "order"))]
    for name in ("random", "nait_contrast", "less", "random_length_matched_contrast"):
        expected = resolve(compose("run", overrides=[*kept, HERE, f"selector={name}"]))["selector"]
        assert config_of(name) == expected, name


def test_jobs_that_differ_in_values_share_a_composition() -> None:
    module._composed.cache_clear()
    for seed in range(3):
        job = ["selector=random", f"seed={seed}"]
        assert other_selectors(compose("run", overrides=[*job, HERE]), job)("random")["seed"] == seed
    assert module._composed.cache_info().misses == 1
