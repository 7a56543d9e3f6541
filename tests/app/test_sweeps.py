"""Sweeps compose with any model and any target, and say so where they cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

import nait.cli.config.resolvers  # noqa: F401  # registers them
from nait.cli.command.quoting import readable
from nait.cli.help import groups
from nait.nano.world import capabilities
from tests.app.commands import Run, make_home, manifests

SWEEPS = groups()["sweep"]
OWNERS = {"selector.subset": ["selector=tilted_random"]}
"""The option that has a swept key, for a key that not every option has."""


@pytest.fixture
def hydra_session() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_module("nait.conf", version_base="1.3"):
        yield
    GlobalHydra.instance().clear()


def values(*words: str) -> dict[str, list[str]]:
    """Key -> the values that a sweep gives it."""
    config = compose("run", overrides=list(words), return_hydra_config=True)
    params = {str(key): str(value) for key, value in config.hydra.sweeper.params.items()}
    parsed = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    return {
        one.get_key_element(): list(one.sweep_string_iterator()) if one.is_sweep_override()
        else [one.get_value_element_as_str()]
        for one in parsed
    }  # fmt: skip


@pytest.mark.usefixtures("hydra_session")
@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_value_of_a_sweep_composes(sweep: str) -> None:
    for key, options in values(f"sweep={sweep}").items():
        owner = OWNERS.get(key, [])
        for option in options:
            assert compose("run", overrides=[f"sweep={sweep}", *owner, f"{key}={option}"])


@pytest.mark.usefixtures("hydra_session")
def test_only_the_random_subsets_of_validity_are_trained() -> None:
    for selector in values("sweep=validity")["selector"]:
        stages = compose("run", overrides=["sweep=validity", f"selector={selector}"]).stages
        assert ("train" in stages) == (selector == "tilted_random")


def test_a_single_subset_is_a_number_where_a_data_sets_subset_is_a_name() -> None:
    words = ["selector.subset=0", "data.subset=0"]
    assert readable(words) == ["selector.subset=0", "data.subset='0'"]


@pytest.mark.usefixtures("hydra_session")
def test_validity_keeps_the_orders_of_the_selectors_and_ranks_several_targets_otherwise() -> None:
    for selector in values("sweep=validity")["selector"]:
        own = compose("run", overrides=[f"selector={selector}"]).order._target_
        swept = compose("run", overrides=["sweep=validity", f"selector={selector}"]).order._target_
        assert swept == own.replace("Highest", "BestRank")


@pytest.mark.usefixtures("hydra_session")
def test_the_layers_are_those_of_the_model_that_is_chosen(tmp_path: Path) -> None:
    assert "[1,2,3,4,6]" in values("sweep=layers")["selector.layers"]
    home = make_home(tmp_path)
    assert values("sweep=layers", "model=local", f"model.path={home / 'model'}", "model.max_length=64")[
        "selector.layers"
    ] == ["all", "[1]", "[2]", "[3]", "[1,2]", "[2,3]", "[1,3]"]


@pytest.mark.usefixtures("hydra_session")
def test_transfer_takes_each_target_then_all() -> None:
    files = ["target=files", "target.paths={gsm8k: a.jsonl, my set: b.jsonl, 7: c.jsonl}"]
    assert values("sweep=transfer", *files)["target.capabilities"] == [
        "['gsm8k']", "['my set']", "['7']", "['gsm8k','my set','7']"
    ]  # fmt: skip
    assert values("sweep=transfer", "target=files", "target.paths={a: a.jsonl}")["target.capabilities"] == [
        "['a']"
    ]
    names = [f"'{name}'" for name in capabilities()]
    assert values("sweep=transfer")["target.capabilities"] == [
        *(f"[{one}]" for one in names),
        f"[{','.join(names)}]",
    ]


@pytest.mark.usefixtures("hydra_session")
def test_every_order_of_the_merge_sweep_has_its_way_of_merging() -> None:
    merges = {}
    for order in values("sweep=merge")["order"]:
        config = compose("run", overrides=["sweep=merge", f"order={order}"], return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        merges[order] = config.selector.merge
        OmegaConf.resolve(config.merging)
        assert set(config.merging) == set(values("sweep=merge")["order"])
    assert [order for order, merge in merges.items() if merge == "directions"] == ["highest"]


def references(folder: Path, *names: str) -> str:
    """Files of ten rows each, as `target.paths`."""
    for name in names:
        rows: list[dict[str, Any]] = [
            {"instruction": f"{name} {i}", "output": f"{i} {name}"} for i in range(10)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "target.paths={" + ",".join(f"{name}: {folder / name}.jsonl" for name in names) + "}"


def test_transfer_runs_on_files(nait: Run, tmp_path: Path) -> None:
    paths = references(tmp_path, "sums", "trees")
    done = nait("sweep=transfer", "target=files", paths, "selector=nait", "seed=0", "data=nano_small",
                "data.size=100", "traits=none", "model=nano", "model.max_length=128", "template=nano",
                "tracking=files", "stages=[select,report]", bare=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "only names the embedded world" not in done.stderr  # data=nano_small names itself
    assert sorted(one["target"] for one in manifests(tmp_path)) == ["sums", "sums+trees", "trees"]
    (board,) = (tmp_path / "runs").rglob("leaderboard.json")
    assert len(json.loads(board.read_text())) == 3


def test_the_report_says_how_far_reference_draws_agree(nait: Run, tmp_path: Path) -> None:
    references(tmp_path, "sums")
    done = nait("sweep=reference_draws", "target=file", f"target.path={tmp_path / 'sums.jsonl'}", "target.rows=4",
                "target.seed=0,1,2", "order=highest", "data=nano_small", "data.size=100", "traits=none", "model=nano",
                "model.max_length=128", "template=nano", "tracking=files", "stages=[select,report]",
                bare=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (page,) = (tmp_path / "runs").rglob("report.md")
    (line,) = [line for line in page.read_text().splitlines() if line.startswith("| nait, sums, 10%")]
    assert line.split("|")[2:4] == [" reference ", " 3      "]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["sweep=layers", "model=nano,local"],
            "model: cannot be varied here: this sweep derives other values from it. Run the sweep once",
        ),
        (["sweep=layers", "model=local"], "model.path: a value is needed"),
        (["sweep=layers", "model=local", "model.path=/nowhere"], "there is no such folder"),
        (["sweep=transfer", "target=none"], "target: this sweep needs several targets. Use target=files"),
        (["sweep=transfer", "target=files"], "target.paths: a value is needed"),
        (
            ["experiment=paper_main", "target=gsm8k"],
            "target.capabilities: there is no such key. Use a target with several sets: target=paper",
        ),
        (
            ["experiment=paper_transfer", "target=nano"],
            "nait: target.mirror: there is no such key. Known: capabilities",
        ),
        (["sweep=layers", "+model.nmae=a"], "nait: model.nmae: there is no such key. Did you mean 'name'?"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_any_job(
    words: list[str], message: str, nait: Run, tmp_path: Path
) -> None:
    done = nait(*words, bare=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
