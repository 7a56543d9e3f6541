"""A published run: what repeats its selection elsewhere, without the pool's texts or this machine's paths."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from nait.core.errors import ConfigError, DataError, NaitError
from nait.hub.uploads import upload_folder
from nait.publishing.command_words import words_of
from nait.publishing.published_runs import _on_one_line, publish
from tests.app.commands import given, make_home, warm

TRAIN = ("train.epochs=1", "train.max_steps=1", "train.batch_size=4", "train.lora.r=2")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which NAIT has selected and trained."""
    folder = tmp_path_factory.mktemp("ran")
    make_home(folder / "home")
    words = [*given(folder / "home"), "selector=nait", "stages=[select,train]", *TRAIN, "hydra.run.dir=run"]
    done = warm().run(words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_published_run_selects_the_same_rows_again(ran: Path, tmp_path: Path) -> None:
    out = publish(ran / "run", tmp_path / "out", store=ran / "store")
    selected = (ran / "run" / "selected.jsonl").read_text()
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {
        "README.md", "scores.parquet", "selected_ids.txt", "directions/refs/manifest.json",
        "directions/refs/arrays.safetensors", "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
    }  # fmt: skip
    for words in (
        ("selector=scores", "target=none", f"selector.path={out / 'scores.parquet'}"),
        ("selector=nait", "target=directions", f"target.paths={{refs: {out / 'directions' / 'refs'}}}"),
    ):
        arguments = [*(word for word in given(ran / "home") if not word.startswith("target")), *words]
        folder = tmp_path / f"by_{words[0].partition('=')[2]}"
        done = warm().run([*arguments, "stages=[select]", f"hydra.run.dir={folder}"], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert (folder / "selected.jsonl").read_text() == selected


def test_the_card_names_what_it_is_and_no_path_of_this_machine(ran: Path, tmp_path: Path) -> None:
    out = publish(ran / "run", tmp_path / "out", store=ran / "store")
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: peft\n")
    assert "# nait: 10% of pool for refs" in card
    assert "- `selector.site`: `residual`" in card
    assert "selector=scores" in card
    assert "target=none order=highest budget=count budget.count=4 data=file" in card
    assert "order=highest budget=ratio budget.ratio=0.1 budget.allow_fewer=false data=file" in card
    assert "selector=nait selector.site=residual selector.feature=delta" in card
    assert "'target.paths={refs: directions/refs}'" in card
    assert "Not stated" in card
    training = card.partition("## Training\n")[2].partition("\n## ")[0].splitlines()
    for line in (
        "- `model`: `model`", "- `template`: `plain`", "- `max_length`: `128`", "- `rows`: `4`", "- `method`: `lora`",
        "- `epochs`: `1.0`", "- `max_steps`: `1`", "- `learning_rate`: `0.0002`", "- `batch_size`: `4`",
        "- `lora.r`: `2`",
        "- `lora.target_modules`: `all-linear`", "- `seed`: `0`",
    ):  # fmt: skip
        assert line in training, line
    for file in out.rglob("*"):
        assert not file.is_file() or str(ran).encode() not in file.read_bytes(), file
    assert b"Do 3" not in (out / "scores.parquet").read_bytes()  # no text of the pool


def test_the_cards_command_repeats_a_method_with_settings_of_its_own(ran: Path, tmp_path: Path) -> None:
    changed = ["selector.layers=[1,-1]", "selector.layer_weight=zscore", "++selector.end_token=true"]
    words = [*given(ran / "home"), "selector=nait", *changed, "stages=[select]", "hydra.run.dir=own"]
    done = warm().run(words, cwd=ran)
    assert done.returncode == 0, done.stderr
    out = publish(ran / "own", tmp_path / "out", store=ran / "store")
    (line,) = [one for one in (out / "README.md").read_text().splitlines() if "target=directions" in one]
    own = {word.partition("=")[0]: word for word in given(ran / "home")}
    _, *command = shlex.split(line)
    assert "++selector.end_token=true" in command
    here = {key: word for key, word in own.items() if key in ("data.path", "model.path")}
    again = [here.get(word.partition("=")[0], word) for word in command]
    rest = [own[key] for key in own if key.split(".")[0] in ("tracking", "contamination", "traits")]
    done = warm().run([*again, *rest, f"hydra.run.dir={tmp_path / 'again'}"], cwd=out)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again" / "selected.jsonl").read_text() == (ran / "own" / "selected.jsonl").read_text()


def card_of(ran: Path, name: str, *words: str) -> str:
    """The card of a run with these words, as `nait publish` writes it."""
    rest = [word for word in given(ran / "home") if not word.startswith("template")]
    for call in (
        [*rest, "selector=nait", *words, "stages=[select]", f"hydra.run.dir={name}"],
        ["publish", name, f"published_{name}"],
    ):
        done = warm().run(call, cwd=ran)
        assert done.returncode == 0, done.stderr
    return (ran / f"published_{name}" / "README.md").read_text()


def test_the_cards_command_repeats_a_changed_template(ran: Path, tmp_path: Path) -> None:
    changed = [
        "template=plain",
        "template.eos=always",
        'template.suffix=" (it\'s 1, or 2)"',
        'template.separator="7"',
    ]
    card = card_of(ran, "changed", *changed)
    assert "Add them" not in card
    (line,) = [one for one in card.splitlines() if "target=directions" in one]
    _, *command = shlex.split(line)
    assert [word for word in command if word.startswith("template")] == [
        "template=plain", 'template.suffix=" (it\'s 1, or 2)"', 'template.separator="7"', "template.eos=always",
    ]  # fmt: skip
    own = {word.partition("=")[0]: word for word in given(ran / "home")}
    again = [own[word.partition("=")[0]] if "POOL" in word or "MODEL" in word else word for word in command]
    rest = [own[key] for key in own if key.split(".")[0] in ("tracking", "traits")]
    done = warm().run([*again, *rest, f"hydra.run.dir={tmp_path}"], cwd=ran / "published_changed")
    assert done.returncode == 0, done.stderr
    first, second = (
        json.loads((folder / "run.json").read_text())["fingerprints"]["template"]
        for folder in (ran / "changed", tmp_path)
    )
    assert first == second
    assert (tmp_path / "selected.jsonl").read_text() == (ran / "changed" / "selected.jsonl").read_text()


def test_the_card_names_the_settings_that_no_command_repeats(ran: Path) -> None:
    (ran / "own.yaml").write_text('prompt: "Q: {user}\\nA: "\n')
    card = card_of(ran, "filed", "template=file", "template.path=own.yaml")
    assert "\n\nThe commands do not repeat these settings of the run. Add them" in card
    assert "- `template.path`: a local file or folder\n" in card
    assert "own.yaml" not in card
    card = card_of(ran, "long", "template=plain", f'template.prompt="{"Q" * 90}: {{user}} "')
    assert f'- `template.prompt`: `"{"Q" * 90}: {{user}} "`\n' in card
    assert "template.prompt=" not in card
    assert "template.prompt_with_input" not in card  # as in template=plain


def test_settings_are_words_of_a_command_or_named_as_lacking() -> None:
    settings = {
        "_target_": "x.Y", "name": "y", "kind": None, "site": "attn_out", "on": True, "rate": 1e-5, "text": "null",
        "mix": ["a", "b c", 2], "file": "/home/me/rows", "lines": "a\nb", "path": "x", "deep": {"end_token": False},
        "quoted": 'say "a"', "odd key": 1, "same": 5,
    }  # fmt: skip
    found = words_of({"options": {"selector": "own/y-2"}, "selector": settings}, "selector", {"same": 5})
    assert found.words == (
        "selector=own/y-2", "selector.kind=null", "selector.site=attn_out", "selector.on=true", "selector.rate=1e-05",
        'selector.text="null"', 'selector.mix=[a, "b c", 2]', "++selector.deep.end_token=false",
    )  # fmt: skip
    local = "a local file or folder"
    assert found.lacking == {
        "selector.file": local, "selector.lines": r'"a\nb"', "selector.path": local,
        "selector.quoted": r'"say \"a\""', "selector.odd key": "1",
    }  # fmt: skip
    unknown = words_of({"selector": settings}, "selector")
    assert (unknown.words, unknown.lacking) == ((), {"selector": "not recorded"})


def test_what_cannot_be_published_is_an_error(ran: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no run\.json"):
        publish(tmp_path, tmp_path / "out")
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match="it exists already"):
        publish(ran / "run", tmp_path / "there", store=ran / "store")
    with pytest.raises(DataError, match="is not in the store"):
        publish(ran / "run", tmp_path / "out", store=tmp_path / "empty")
    assert not (tmp_path / "out").exists()


class Hub:
    """A client that records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def create_repo(self, repo: str, *, repo_type: str, private: bool, exist_ok: bool) -> str:
        self.calls.append((repo, repo_type, private, exist_ok))
        return f"https://hub/{repo}"

    def upload_folder(self, *, folder_path: str, repo_id: str, repo_type: str) -> None:
        self.calls.append((folder_path, repo_id, repo_type))


def test_the_command_prints_the_new_folder(ran: Path) -> None:
    done = warm().run(["publish", "run", "published"], cwd=ran)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "published"
    assert (ran / "published" / "README.md").is_file()
    again = warm().run(["publish", "run", "published"], cwd=ran)
    assert again.returncode == 2
    assert "it exists already" in again.stderr


def test_an_upload_is_private_and_only_made_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub()
    assert upload_folder(tmp_path, "me/set", kind="dataset", client=hub) == "https://hub/me/set"
    assert hub.calls == [("me/set", "dataset", True, True), (str(tmp_path), "me/set", "dataset")]
    with pytest.raises(ConfigError, match="is not OWNER/NAME"):
        upload_folder(tmp_path, "set", kind="dataset", client=hub)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(NaitError, match="HF_HUB_OFFLINE is set"):
        upload_folder(tmp_path, "me/set", kind="dataset")


def test_an_id_with_line_breaks_is_one_line() -> None:
    assert [_on_one_line(key) for key in ("a", "数 1", "a\nb\x1b")] == ["a", "数 1", "a\\nb\\x1b"]


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprints": [None]}, {"budget": 3}, {"links": [["selection", "x"]]}, {"config": {"paths": {"store": 1}}},
        {"versions": [1]}, {"status": None}, {"model": None},
    ],
)  # fmt: skip
def test_a_record_of_another_form_is_not_published(change: dict[str, Any], ran: Path, tmp_path: Path) -> None:
    record = json.loads((ran / "run" / "run.json").read_text())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(DataError, match=r"run\.json: is not the record of a run"):
        publish(tmp_path / "run", tmp_path / "out", store=ran / "store")
    assert not (tmp_path / "out").exists()


def test_the_directions_that_the_scores_project_on_are_published_and_no_others(
    ran: Path, tmp_path: Path
) -> None:
    """One direction of two targets, beside a direction of each from the same measurements; and one whose sign rule
    does not apply to it."""
    home = ran / "home"
    (home / "others.jsonl").write_text(
        "".join((home / "refs.jsonl").read_text().splitlines(keepends=True)[:4])
    )
    words = [word for word in given(home) if not word.startswith("target")]
    words += ["target=files", f"target.paths={{a b: {home / 'refs.jsonl'}, a_b: {home / 'others.jsonl'}}}"]
    for name, more, wanted in (
        ("each", ["order=best_rank"], {"a_b", "a_b_2"}),
        ("one", ["selector.merge=directions"], {"a_b_a_b"}),
        ("contrast", ["order=best_rank", "selector.direction=contrast"], {"a_b", "a_b_2"}),
    ):
        job = [*words, "selector=nait", "stages=[select]", *more, f"hydra.run.dir={name}"]
        done = warm().run(job, cwd=ran)
        assert done.returncode == 0, done.stderr
        out = publish(ran / name, tmp_path / name, store=ran / "store")
        assert {path.name for path in (out / "directions").iterdir()} == wanted
