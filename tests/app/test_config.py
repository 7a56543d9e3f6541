"""Every option of every group composes, and every key of it is a parameter of what it builds."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from nait.cli.command.config_keys import paths
from nait.cli.config.plain_config import build, seeded
from nait.cli.help import RECOMMENDED, conf_folder, groups, help_text
from nait.core.errors import ConfigError
from nait.runs.job_checks import check_label
from nait.runs.records import recorded_config

OPTIONS = [(group, option) for group, options in groups().items() for option in options]
GLOBAL = ("experiment", "sweep")
UNMEASURED = pytest.mark.no_cover
"""Tests of the YAML files. Hydra composes them twice as fast without measuring coverage."""


@pytest.fixture(autouse=True)
def hydra_session() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_module("nait.conf", version_base="1.3"):
        yield
    GlobalHydra.instance().clear()


@cache
def composed(*overrides: str) -> Any:
    """The run's config. The tests only read it."""
    return compose("run", overrides=list(overrides), return_hydra_config=True)


def resolve(target: str) -> Any:
    module, name = target.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def nodes(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a config that builds something."""
    if isinstance(value, dict):
        if "_target_" in value and not str(value["_target_"]).startswith("${"):
            yield path, value
        for key, part in value.items():
            yield from nodes(part, f"{path}.{key}".strip("."))


def check_node(path: str, node: dict[str, Any]) -> None:
    target = resolve(node["_target_"])
    parameters = inspect.signature(target).parameters
    hydras = ("_target_", "_partial_")
    given = {key for key in node if key not in hydras and not (path == "selector" and key == "name")}
    assert given <= set(parameters), (
        f"{path}: {given - set(parameters)} are not parameters of {node['_target_']}"
    )
    needed = {key for key, p in parameters.items() if p.default is p.empty}
    assert needed <= given, f"{path}: {needed - given} is missing"


@UNMEASURED
@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda value: str(value))
def test_every_option_builds_what_it_says_with_keys_that_exist(group: str, option: str) -> None:
    config = composed(f"{group}={option}")
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    plain.pop("hydra")
    for path, node in nodes(plain):
        check_node(path, node)


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda value: str(value))
def test_every_file_begins_with_a_word_on_what_it_is(group: str, option: str) -> None:
    lines = (conf_folder() / group / f"{option}.yaml").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("# @package")]
    assert lines[0].startswith("# ")
    assert len(lines[0]) > 15


@UNMEASURED
@pytest.mark.parametrize(
    ("group", "option"), [o for o in OPTIONS if o[0] not in GLOBAL], ids=lambda v: str(v)
)
def test_keys_are_in_the_order_of_the_constructor(group: str, option: str) -> None:
    node = yaml.safe_load((conf_folder() / group / f"{option}.yaml").read_text())
    target = node.get("_target_") or (
        "defaults" in node and composed(f"{group}={option}")[group].get("_target_")
    )
    if not target:
        return
    order = list(inspect.signature(resolve(target)).parameters)
    keys = [key for key in node if key not in ("_target_", "defaults") and key in order]
    assert keys == sorted(keys, key=order.index)


def test_the_short_keys_that_users_change_most_exist() -> None:
    keys = paths(composed("model=local", "data=file", "target=file"))
    for key in (
        "model.path", "model.max_length", "data.path", "target.path", "selector.layers", "selector.site",
        "selector.feature", "selector.similarity", "budget.ratio", "train.epochs", "eval.limit", "eval.mirror",
        "seed", "stages", "paths.store", "template.eos", "tracking.mode",
    ):  # fmt: skip
        assert key in keys


def test_a_selector_brings_the_order_it_was_published_with_and_the_user_overrides_it() -> None:
    assert composed("order=lowest").order._target_.endswith("Lowest")
    assert composed("selector=nait").order._target_.endswith("Highest")


def test_help_shows_every_group_and_option() -> None:
    text = help_text()
    for group, options in groups().items():
        assert group in text
        assert all(option in text for option in options)


def test_no_config_has_logic() -> None:
    files = [path for path in Path(conf_folder()).rglob("*.py") if "__pycache__" not in path.parts]
    assert [path.name for path in files] == ["__init__.py"]
    assert files[0].read_text() == ""


DOCUMENTS = (
    "README.md", "docs/compare.md", "docs/choosing.md", "docs/sweeps.md", "baselines/README.md",
    "nait/neurons/README.md", "benchmarks/README.md",
)  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_selector_that_a_document_names_exists(name: str) -> None:
    text = (Path(__file__).parents[2] / name).read_text()
    named = {one for found in re.findall(r"[ `]selector=([a-z_,]*[a-z])", text) for one in found.split(",")}
    assert named <= {option for group, option in OPTIONS if group == "selector"}


def test_the_commands_for_an_own_pool_use_the_recommended_selector() -> None:
    text = "".join(
        (Path(__file__).parents[2] / name).read_text() for name in ("README.md", "docs/compare.md")
    )
    commands = [
        block
        for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
        if "data.path=pool.jsonl" in block
    ]
    assert len(commands) == 1
    (named,) = re.findall(r"selector=(\S+)", commands[0])
    assert named.split(",")[0] == RECOMMENDED
    assert "nait select pool.jsonl --like reference.jsonl" in text  # whose default it is


@pytest.mark.parametrize(
    ("words", "follow"),
    [
        (["selector=random"], ["selector.seed"]),
        (["selector=random", "selector.seed=3"], []),
        (["selector=nait", "order=shuffled"], ["order.seed"]),
        (["selector=nait", "eval.seed=${seed}", "seed=7"], ["eval.seed"]),
    ],
)
def test_the_keys_that_follow_the_seed_are_known(words: list[str], follow: list[str]) -> None:
    assert seeded(compose("run", overrides=words)) == follow


@pytest.mark.parametrize(("label", "selector"), [("random", "nait"), ("full", "random"), ("base", "rds")])
def test_a_label_that_passes_a_method_off_as_another_is_refused(label: str, selector: str) -> None:
    with pytest.raises(ConfigError, match="is the name of a selector other than"):
        check_label(label, selector)
    check_label(selector, selector)
    check_label("mine", selector)


@pytest.mark.parametrize("label", ["nait_contrast", "NAIT_Contrast ", "Random"])
def test_the_name_of_another_selector_in_any_case_makes_no_label(label: str) -> None:
    with pytest.raises(ConfigError, match="is the name of a selector other than rds"):
        check_label(label, "rds", others=("nait_contrast", "rds"))
    check_label("RDS", "rds", others=("nait_contrast", "rds"))


def test_the_recorded_settings_keep_what_changes_numbers_at_any_depth() -> None:
    config: dict[str, Any] = {group: {} for group in recorded_config.SETTINGS}
    config |= {"train": {"batch_size": 4, "save_seconds": 9}, "eval": {"seed": 3, "batch_size": 8}}
    config |= {"selector": {"seed": 1, "name": "n"}, "order": {"seed": 2}, "model": {"device": "cpu"}}
    assert recorded_config.settings(config) == {
        "train.batch_size": "4",
        "eval.seed": "3",
        "seed": "1",
        "order.seed": "2",
    }


@pytest.mark.parametrize("option", groups()["selector"])
def test_a_methods_own_templates_show_every_field_of_a_row(option: str, tmp_path: Path) -> None:
    from nait.core.dataset.examples import Example, Turn, gather
    from nait.stages.checks.rendered_rows import check_method
    from nait.store import Store

    row = Example("a", (Turn("q", "r", "more"),), system="Be brief.")
    needed = [f"selector.path={tmp_path}"] if option in ("scores", "alpagasus") else []
    config: Any = OmegaConf.to_container(composed(f"selector={option}", *needed).selector, resolve=True)
    scorer = build({key: value for key, value in config.items() if key != "name"})
    model: Any = None  # none is opened
    check_method(scorer, [gather("pool", [row])], model=model, store=Store(tmp_path))
