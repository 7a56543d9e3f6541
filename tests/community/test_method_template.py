"""The method template works as its README says, and keeps the laws of a selector."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from nait.cli.command.command_line import hydra_line, split
from nait.cli.command.config_groups import compose, loader_of
from nait.cli.command.sweep_jobs import expand
from tests.app.commands import warm

FOLDER = Path(__file__).resolve().parents[2] / "community" / "method_template"


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A copy of the template, as a user makes it."""
    copy = tmp_path / "my method"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def commands(folder: Path) -> list[list[str]]:
    """The words of the `nait` commands in a README, without the variable before them."""
    blocks = re.findall(r"```bash\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    lines = [shlex.split(block.replace("\\\n", " ")) for block in blocks if "nait " in block]
    return [words[words.index("nait") + 1 :] for words in lines]


def test_the_first_command_of_the_readme_selects_on_the_embedded_world(template: Path) -> None:
    done = warm().run([*commands(template)[0], "traits=none"], cwd=template)
    assert done.returncode == 0, done.stderr
    (record,) = (template / "runs").rglob("run.json")
    found = json.loads(record.read_text(encoding="utf-8"))
    assert found["selector"] == "word_overlap"
    assert len((record.parent / "selected.jsonl").read_text(encoding="utf-8").splitlines()) == 100
    assert found["truth"]["precision"] > 2 * found["truth"]["base_rate"]  # random rows have the base rate
    assert "precision" in done.stdout


def test_the_comparison_of_the_readme_has_a_job_for_each_method_and_seed(template: Path) -> None:
    line = split(commands(template)[1])
    loader = loader_of(str(template / "conf"))
    base = compose(loader, hydra_line(line, loader).words)
    jobs = expand(loader, base, list(base.hydra.overrides.task)).overrides
    assert sorted(job[:2] for job in jobs) == [
        [f"selector={name}", f"seed={seed}"] for name in ("random", "word_overlap") for seed in range(3)
    ]
    config = compose(loader, [word for word in jobs[0] if not word.startswith("hydra")])
    assert (config.selector.name, config.selector.least_letters) == ("word_overlap", 1)


def test_the_template_keeps_the_laws(template: Path) -> None:
    done = warm().run(["-q", "-p", "no:cacheprovider", "test_word_overlap.py"], cwd=template, module="pytest")
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_a_wrong_setting_is_refused_before_a_model_is_opened(template: Path) -> None:
    words = [*commands(template)[0], "selector.least_letters=0"]
    done = warm().run(words, cwd=template)
    assert done.returncode != 0
    assert "selector.least_letters: 0 is below 1. Use 1 or more." in done.stderr
