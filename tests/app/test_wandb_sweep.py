"""The documented W&B sweep: its YAML is one that W&B accepts, and each command of its agent is a job."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path
from typing import Any

import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from nait.cli.command.config_groups import compose, loader_of
from tests.app.test_documented_commands import check

FILE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "wandb_sweep.yaml"


def commands(sweep: dict[str, Any]) -> list[list[str]]:
    """The words of the agent's commands, built as `wandb agent` builds them."""
    values = {name: one["values"] for name, one in sweep["parameters"].items()}
    found = []
    for picked in itertools.product(*values.values()):
        given = {"args": {name: {"value": one} for name, one in zip(values, picked, strict=True)}}
        parts = {**create_sweep_command_args(given), "program": [sweep["program"]]}
        words: list[str] = []
        for part in create_sweep_command(list(sweep["command"])):
            words += parts[part[2:-1]] if part.startswith("${") else [part]
        found.append(words)
    return found


def test_every_command_of_the_agent_is_a_job() -> None:
    sweep = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert sweep["method"] == "grid"
    found = commands(sweep)
    assert len(found) == 18
    assert found[0][:4] == ["nait", "run", "tracking.mode=online", "selector=nait_contrast"]
    for words in found[:1] + found[-1:]:
        check(shlex.join(words), composing=True)
    config = compose(loader_of(), found[-1][2:])
    assert (config.selector.name, config.seed, config.budget.ratio, config.tracking.mode) == (
        "random", 2, 0.1, "online",
    )  # fmt: skip
    assert [compose(loader_of(), words[2:]).selector.name for words in found[::6]] == [
        "nait_contrast", "rds", "random",
    ]  # fmt: skip


def test_the_page_shows_the_file() -> None:
    page = (FILE.parents[1] / "sweeps.md").read_text(encoding="utf-8")
    text = FILE.read_text(encoding="utf-8").partition("\n")[2]
    assert f"```yaml\n{text}```" in page
