"""`nait select` is a face of `nait run`: the same artifacts, with the rows where and how their user wants them."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from nait.cli.config.short_options import (
    AskedSize,
    method_word,
    pool_words,
    presets,
    select_words,
    target_words,
)
from nait.cli.subcommands.main_app import command_names
from nait.core.errors import ConfigError
from tests.app.commands import warm

FEW = ["model.max_length=128", "template=plain"]


def pool_of(home: Path) -> list[str]:
    return [str(home / "pool.jsonl"), "--like", str(home / "refs.jsonl")]


@pytest.fixture(scope="module")
def selected(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder in which `nait select` has run, and what it said."""
    folder = tmp_path_factory.mktemp("Löffel und Gabel")
    words = [
        "select",
        *pool_of(home),
        "--model",
        str(home / "model"),
        "--top",
        "20%",
        "--out",
        "best.jsonl",
        *FEW,
    ]
    return folder, warm().run(words, cwd=folder)


def test_the_rows_are_the_users_lines_and_the_scores_join_to_them(
    selected: tuple[Path, subprocess.CompletedProcess[str]], home: Path
) -> None:
    import pandas as pd

    folder, done = selected
    assert done.returncode == 0, done.stderr
    lines, pool = (
        (folder / "best.jsonl").read_text().splitlines(),
        (home / "pool.jsonl").read_text().splitlines(),
    )
    scores = pd.read_parquet(folder / "best.scores.parquet")
    chosen = scores[scores.selected].sort_values("rank")
    assert lines == [pool[row] for row in chosen.row]
    assert len(lines) == 8
    assert sorted(scores.row) == list(range(40))
    assert (next((folder / "runs").rglob("selected.jsonl"))).read_text().splitlines() == lines


def test_the_end_says_how_many_which_and_at_what_cost(
    selected: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = selected
    for part in ("Selected 8 of 40 rows", "nait_contrast", "\n3. row ", "Cost: ", "best.jsonl"):
        assert part in done.stdout
    assert [line for line in done.stdout.splitlines() if len(line) > 100 and "/" not in line] == []


def test_the_printed_job_finds_the_same_selection_in_the_store(
    selected: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = selected
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("As a job: nait run ")]
    made = {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("manifest.json")}
    again = warm().run(shlex.split(line)[4:], cwd=folder)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("manifest.json")} == made
    one, other = (folder / "runs").rglob("selected.jsonl")
    assert one.read_bytes() == other.read_bytes()


def test_a_run_that_only_selects_needs_its_scores_and_selection(
    selected: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    from nait.store.upkeep.inventory import orphans

    folder, _ = selected
    assert not {"scores", "selections", "directions"} & {one.kind for one in orphans(folder / "store")}


def test_without_a_model_the_models_at_hand_are_listed_and_nothing_runs(home: Path) -> None:
    done = warm().run(["select", "pool.jsonl", "--like", "refs.jsonl"], cwd=home)
    assert done.returncode == 2
    assert "--model model (" in done.stderr
    assert "--model nano" in done.stderr
    assert not (home / "runs").exists()


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (AskedSize(), ["budget=ratio", "budget.ratio=0.1"]),
        (AskedSize(top="7%"), ["budget=ratio", "budget.ratio=0.07"]),
        (AskedSize(top="0.25"), ["budget=ratio", "budget.ratio=0.25"]),
        (AskedSize(rows="20k"), ["budget=count", "budget.count=20000"]),
        (AskedSize(tokens="1.5M"), ["budget=tokens", "budget.tokens=1500000"]),
        (AskedSize(tokens="2e6"), ["budget=tokens", "budget.tokens=2000000"]),
        (AskedSize(rows="1.001k"), ["budget=count", "budget.count=1001"]),
        (AskedSize(tokens="0.003997M"), ["budget=tokens", "budget.tokens=3997"]),
    ],
)
def test_sizes_are_read_as_people_write_them(size: AskedSize, words: list[str]) -> None:
    assert size.words() == words


@pytest.mark.parametrize(
    ("size", "part"),
    [
        (AskedSize(top="10"), "for a number of rows, --rows N"),
        (AskedSize(rows="many"), "'many' is not a number of rows"),
        (AskedSize(rows="1.5"), "'1.5' is not a number of rows"),
        (AskedSize(rows="inf"), "'inf' is not a number of rows"),
        (AskedSize(tokens="nan"), "'nan' is not a number of tokens"),
        (AskedSize(top="10%", tokens="5"), "only one size can be given"),
    ],
)
def test_a_size_that_cannot_be_meant_is_refused(size: AskedSize, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        size.words()


def test_pools_and_references_are_files_presets_or_ids(tmp_path: Path) -> None:
    assert pool_words("nano_small") == ["data=nano_small"]
    assert pool_words("owner/name") == ["data=hub", "data.path=owner/name"]
    assert pool_words("rows.jsonl") == ["data=file", "data.path=rows.jsonl"]
    assert target_words("nano", "rds") == ["target=nano"]
    assert target_words(None, "random") == ["target=none"]
    for name in ("manifest.json", "arrays.safetensors"):
        (tmp_path / name).touch()
    assert target_words(str(tmp_path), "nait")[0] == "target=directions"
    assert {"file", "hub"}.isdisjoint(presets("data"))
    assert {"local", "hf"}.isdisjoint(presets("model"))


def test_a_method_that_needs_references_asks_for_them() -> None:
    with pytest.raises(ConfigError, match="--like REF: nait_contrast needs a reference set"):
        target_words(None, "nait_contrast")
    with pytest.raises(ConfigError, match="Did you mean 'nait_contrast'"):
        method_word("nait_contras")


def test_a_key_that_the_user_gives_replaces_the_short_options() -> None:
    more = ["tracking=wandb", "seed=3"]
    words = select_words(
        pool="a.jsonl", like="b.jsonl", model="nano", size=AskedSize(), method="rds", more=more
    )
    assert words.count("tracking=wandb") == 1
    assert "tracking=files" not in words
    assert words[-1] == "seed=3"


def test_every_command_has_help_and_starts_at_once(tmp_path: Path) -> None:
    for name in command_names():
        done = warm().run([name, "--help"], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "sage: nait" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["select"], "Missing argument 'POOL'. See nait select --help."),
        (["directions", "compare", "a7"], "Missing argument 'ADDRESS'. See nait directions compare --help."),
        (["compare", "p", "--like", "r", "--methods", "rds,", "nait"], "Type --methods rds,nait."),
        (["select", "p", "--lik", "x"], "--like"),
        (["select", "p", "--like"], "--like"),
    ],
)
def test_a_wrong_option_is_answered_in_one_line(tmp_path: Path, words: list[str], part: str) -> None:
    done = warm().run(words, cwd=tmp_path)
    assert done.returncode == 2
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1
