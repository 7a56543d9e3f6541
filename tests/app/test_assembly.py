"""Assembly: what it refuses before a model is opened or its weights are hashed, and parts from other packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from nait.baselines.controls.random import LengthMatched, Random
from nait.cli.config.plain_config import build
from nait.core.addresses import address
from nait.core.contracts import check_targets, content_of, version_of
from nait.core.dataset.examples import Target
from nait.core.errors import ConfigError, DataError
from nait.core.ranking.budgets import Count
from nait.core.ranking.orders import Highest
from nait.data.pools import read_pool, read_target
from nait.eval.harness import LmEval
from nait.eval.held_out.held_out_suite import HeldOutSuite
from nait.models.loading import LocalModel
from nait.neurons.scorer import Nait
from nait.runs.assembly import assemble, guarded
from nait.runs.job import Job
from nait.runs.job_checks import check_selector, label_of, repeated_pool
from nait.stages.select import Selector
from tests.app.commands import given, make_home

Words = Sequence[str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_module("nait.conf", version_base="1.3"):
        yield
    GlobalHydra.instance().clear()


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is opened, and no weights are hashed."""
    monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))
    monkeypatch.setattr(LocalModel, "_address", lambda _: pytest.fail("the weights were hashed"))


def plain(*words: str) -> dict[str, Any]:
    config = compose("run", overrides=[*words, "paths.run=run"])
    found = OmegaConf.to_container(config, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def assembled(home: Path, folder: Path, *words: str, **names: str) -> Job:
    gone = "target" if "target=none" in words else " "
    usual = [*(word for word in given(home) if not word.startswith(gone)), f"paths.store={folder / 'store'}"]
    usual += ["target=none"] if "target=none" in words else []

    def other(name: str) -> dict[str, Any]:
        found: dict[str, Any] = plain(*usual, f"selector={name}")["selector"]
        return found

    config = plain(*usual, *(word for word in words if word != "target=none"))
    chosen = [word.removeprefix("selector=") for word in words if word.startswith("selector=")]
    return assemble(
        config,
        build,
        folder=folder,
        names={"selector": [*chosen, "nait"][0], "train": "lora", **names},
        other_selector=other,
    )


def test_a_target_that_holds_half_of_the_pool_has_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(f'{{"instruction": "q{i}", "output": "a"}}\n' for i in range(8)))
    pool = read_pool(path)
    (warning,) = repeated_pool(pool, read_target(path, limit=4))
    assert "4 of the 8 rows of the pool 'pool' are references of the target 'pool'" in warning
    assert repeated_pool(pool, read_target(path, limit=3)) == []


def test_a_selector_with_the_name_of_the_control_is_refused(home: Path, tmp_path: Path) -> None:
    refused = "selector.name: 'random' is the name of a selector other than nait"
    with pytest.raises(ConfigError, match=refused):
        assembled(home, tmp_path, "selector.name=random")
    assert assembled(home, tmp_path, "selector.name=mine").labels["selector"] == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["target=none"], "NAIT needs a target"),
        (["target=none", "selector=less"], "LESS needs a target"),
        (["target=none", "selector=rds"], r"RDS\+ needs a target"),
        (["target=none", "selector=random_length_matched"], "NAIT needs a target"),
        (
            ["target=none", "selector=oracle", "selector.size=100", "selector.pool_seed=0"],
            "the oracle needs a target",
        ),
        (["target=none", "selector=random", "beside=[rds]"], r"RDS\+ needs a target"),
        (["target=none", "template=chat"], "NAIT needs a target"),
    ],
)
def test_targets_that_a_method_cannot_use_are_refused_before_a_model_is_hashed(
    words: Words, said: str, home: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said):
        assembled(home, tmp_path, *words)


def test_a_job_that_selects_nothing_needs_no_target(home: Path, tmp_path: Path) -> None:
    job = assembled(home, tmp_path, "target=none", "train=none", "stages=[report]")
    assert not job.selects(["report"])


@pytest.mark.parametrize(
    ("words", "label"),
    [
        (["budget.ratio=0.25"], "25%"),
        (["budget=count", "budget.count=7"], "7 rows"),
        (["budget=tokens", "budget.tokens=90"], "90 tokens"),
    ],
)
def test_a_run_is_labelled_by_its_budget(words: Words, label: str, home: Path, tmp_path: Path) -> None:
    assert assembled(home, tmp_path, *words).labels["budget"] == label


def half(ranking: Any, answer_tokens: Any) -> int:
    return len(ranking) // 2


class Plain:
    """A scorer of another package that has `score` alone."""

    def score(self, pool: Any, targets: Any, extractor: Any) -> Any: ...


class Versioned(Plain):
    version = 3

    def content(self) -> list[str]:
        return ["bytes"]

    def check(self, targets: Sequence[Target]) -> None:
        raise DataError("no")


def test_a_scorer_of_score_alone_has_the_defaults() -> None:
    assert (version_of(Plain()), content_of(Plain())) == (1, None)
    check_targets(Plain(), [])


def test_a_scorer_that_wraps_another_passes_on_what_it_says() -> None:
    wrapping = LengthMatched(Versioned())
    assert content_of(wrapping) == [3, ["bytes"]]
    with pytest.raises(DataError, match="no"):
        check_targets(wrapping, [])
    assert content_of(LengthMatched(Nait())) == [2, None]
    assert content_of(LengthMatched(Plain())) is None  # the first version has no entry in the address


@pytest.mark.parametrize("version", [0, "1", 1.5, True, None])
def test_a_version_that_does_not_count_is_refused(version: Any) -> None:
    scorer = Plain()
    scorer.version = version  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"Plain\.version is .* whole number, 1 or more"):
        version_of(scorer)


@pytest.mark.parametrize(("budget", "name"), [(half, "half"), (Plain(), "Plain")])
def test_a_budget_without_a_label_is_one_clear_message(budget: Any, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"budget: {name} has no label\. Give it a property `label`"):
        label_of(budget)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"scorer": object()}, r"selector\._target_: object has no method score"),
        ({"order": object()}, r"order\._target_: object has no method __call__"),
        ({"budget": object()}, r"budget\._target_: object has no method __call__"),
    ],
)
def test_a_part_that_does_not_fulfil_its_contract_is_named(part: Any, said: str) -> None:
    usual: dict[str, Any] = {"scorer": Random(), "order": Highest(), "budget": Count(1), "config": {}}
    check_selector(Selector(**usual))
    with pytest.raises(ConfigError, match=said):
        check_selector(Selector(**{**usual, **part}))


def test_a_tracker_from_outside_that_raises_does_not_end_the_run() -> None:
    class Broken:
        def summary(self, values: Any) -> None:
            raise RuntimeError("no disk")

    guarded(Broken()).summary({"a": 1})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (["train=lora"], False),
        (["train=full"], True),
        (["train=none"], True),
    ],
)
def test_the_setting_for_adapters_is_in_the_address_of_an_evaluation_with_one_only(
    home: Path, tmp_path: Path, words: list[str], same: bool
) -> None:
    keys = []
    for merge in ("auto", "true", "false"):
        job = assembled(home, tmp_path, *words, f"eval.merge_adapter={merge}")
        assert job.parts.evaluator is not None
        keys.append(address(dict(job.parts.evaluator.key())))
    assert len(set(keys)) == (1 if same else 3)
    bare = [HeldOutSuite(LmEval(["nano"], merge_adapter=merge), {}, {}) for merge in ("auto", True)]
    assert len({address(dict(one.without_adapter().key())) for one in bare}) == 1
