"""Laws of the presets by name: every data and target option reads a mirror in the Hub's layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from nait.cli.command.parameter_types import fit
from nait.cli.config.plain_config import build
from nait.cli.help import conf_folder, groups
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import DataError, NaitError
from tests.hub_mirror import POOL_ROWS, save_mirror

HUB_POOLS = (
    "alpaca", "alpaca_gpt4", "alpaca_cleaned", "dolly", "evol_instruct", "orca_gpt4", "tulu3", "openhermes",
    "flan_v2",
)  # fmt: skip
HUB_MODELS = {
    "llama2_7b": "meta-llama/Llama-2-7b-hf", "llama2_13b": "meta-llama/Llama-2-13b-hf",
    "llama3_8b": "meta-llama/Meta-Llama-3-8B", "llama3_1_8b": "meta-llama/Llama-3.1-8B",
    "mistral_7b": "mistralai/Mistral-7B-v0.1", "qwen2_5_7b": "Qwen/Qwen2.5-7B", "qwen2_5_0_5b": "Qwen/Qwen2.5-0.5B",
    "qwen3_8b": "Qwen/Qwen3-8B-Base", "qwen3_0_6b": "Qwen/Qwen3-0.6B-Base", "gemma3_4b": "google/gemma-3-4b-pt",
    "smollm3_3b": "HuggingFaceTB/SmolLM3-3B-Base", "olmo2_7b": "allenai/OLMo-2-1124-7B",
    "olmoe_1b_7b": "allenai/OLMoE-1B-7B-0924",
}  # fmt: skip
PAPER = ("mmlu", "mmlu_pro", "gsm8k", "svamp", "humaneval_like", "mbpp", "tydiqa", "xquad", "bbh")
FIRST = {
    "gsm8k": ("Ann has", "+"),
    "svamp": ("Bo has", "1.0 ) = "),
    "mmlu": ("Which is", ""),
    "mmlu_pro": ("What is", "Let's think step by step."),
    "mbpp": ("Write a function", "def add_"),
    "humaneval_like": ("Write a function", "def add_"),
    "tydiqa": ("How long", " km"),
    "xquad": ("How long", " km"),
}
SUBTASKS = {"mmlu": {"anatomy", "virology"}, "mmlu_pro": {"math", "law"}, "tydiqa": {"arabic", "finnish"}}


@pytest.fixture(scope="module", autouse=True)
def hydra_session() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_module("nait.conf", version_base="1.3"):
        yield
    GlobalHydra.instance().clear()


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_mirror(tmp_path_factory.mktemp("hub"))


def built(group: str, option: str, *words: str) -> Any:
    """What an option builds, composed without the other groups."""
    node = compose(f"{group}/{option}", overrides=list(words))[group]
    return build(fit(OmegaConf.to_container(node, resolve=True), group))


def target(name: str, mirror: Path, *words: str) -> Target:
    where = [] if name == "bbh" else [f"target.mirror={mirror}"]
    (made,) = built("target", name, *where, *words)
    assert isinstance(made, Target)
    return made


@pytest.mark.parametrize("name", HUB_POOLS)
def test_every_pool_by_name_reads_a_mirror(name: str, mirror: Path) -> None:
    pool = built("data", name, f"data.mirror={mirror}")
    assert isinstance(pool, Pool)
    assert (pool.name, len(pool)) == (name, POOL_ROWS)
    assert pool.skipped == {}
    assert any(turn.instruction.startswith("Name 7 cups") for e in pool.examples for turn in e.turns)


def test_every_model_by_name_is_a_base_checkpoint_of_the_hub() -> None:
    for option, path in HUB_MODELS.items():
        keys = yaml.safe_load((conf_folder() / "model" / f"{option}.yaml").read_text())
        assert keys.pop("defaults") == ["hf", "_self_"]
        assert keys.pop("path") == path
        assert keys in ({}, {"dtype": "bfloat16"})
    assert {*HUB_MODELS} <= {*groups()["model"]}


@pytest.mark.parametrize("name", FIRST)
def test_every_target_by_name_reads_training_or_few_shot_rows_of_a_mirror(name: str, mirror: Path) -> None:
    rows = target(name, mirror, "target.rows=8")
    begins, answer = FIRST[name]
    assert (rows.name, len(rows)) == (name, 8)
    for example in rows.examples:
        (turn,) = example.turns
        assert turn.instruction.startswith(begins)
        assert answer in turn.answer
    assert {example.subtask for example in rows.examples} == SUBTASKS.get(name, {""})
    assert not any("10" in turn.answer and "1000" in turn.answer for e in rows.examples for turn in e.turns)


def test_the_exemplars_of_bbh_are_three_for_each_of_its_27_tasks(mirror: Path) -> None:
    rows = target("bbh", mirror)
    tasks = [example.subtask for example in rows.examples]
    assert {task: tasks.count(task) for task in tasks} == dict.fromkeys(tasks, 3)
    assert len(set(tasks)) == 27
    assert all("answer is" in example.turns[0].answer for example in rows.examples)


def test_papers_targets_are_the_nine_capabilities_by_name(mirror: Path) -> None:
    found = built("target", "paper", f"target.mirror={mirror}", "target.rows=5")
    assert [(one.name, len(one)) for one in found] == [(name, 5) for name in PAPER]
    alone = target("gsm8k", mirror, "target.rows=5")
    assert next(one.fingerprint for one in found if one.name == "gsm8k") == alone.fingerprint


def test_only_the_chosen_sets_are_read(mirror: Path, tmp_path: Path) -> None:
    words = ["paper", f"target.mirror={tmp_path}"]
    (bbh,) = built("target", *words, "target.capabilities=[bbh]")
    assert len(bbh) == 81
    with pytest.raises(DataError, match="the mirror has no 'openai/gsm8k'"):
        built("target", *words, "target.capabilities=[gsm8k]")
    with pytest.raises(NaitError, match=r"no 'gsmk' to choose. Did you mean 'gsm8k'"):
        built("target", *words, "target.capabilities=[gsmk]")


def test_the_published_sets_have_their_published_numbers_of_reference_rows(
    shared: Callable[[str], Path],
) -> None:
    hub = shared("data/hub")
    sizes = {
        "mmlu": (285, 57),
        "mmlu_pro": (70, 14),
        "mbpp": (127, 1),
        "humaneval_like": (384, 1),
        "gsm8k": (7473, 1),
    }
    for name, (rows, subtasks) in sizes.items():
        made = target(name, hub, "target.rows=null")
        assert (len(made), len({example.subtask for example in made.examples})) == (rows, subtasks)


def test_alpaca_by_name_reads_the_published_rows(shared: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "tatsu-lab" / "alpaca"
    folder.mkdir(parents=True)
    (folder / "train.parquet").symlink_to(shared("data/pools/alpaca_52k.parquet"))
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files: train.parquet\n---\n"
    )
    pool = built("data", "alpaca", f"data.mirror={tmp_path}", "data.limit=500")
    assert (pool.name, len(pool)) == ("alpaca", 500)
    first = next(example for example in pool.examples if example.row == 0)
    assert first.turns[0].instruction == "Give three tips for staying healthy."


def test_no_exemplar_of_bbh_is_a_test_item(shared: Callable[[str], Path], mirror: Path) -> None:
    import pyarrow.parquet as pq

    files = sorted((shared("data/hub") / "SaylorTwift" / "bbh").rglob("*.parquet"))
    asked = {text.strip() for file in files for text in pq.read_table(file)["input"].to_pylist()}
    exemplars = {example.turns[0].instruction.strip() for example in target("bbh", mirror).examples}
    assert len(asked) > 5000
    assert not exemplars & asked
