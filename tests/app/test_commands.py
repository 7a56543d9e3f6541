"""The small commands: they list, show, explain, export, check."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nait.cli.help import groups
from nait.cli.selection.run_folders import run_advice
from nait.cli.selection.summaries import scores_text
from nait.cli.subcommands.doctor import FEW_BYTES, _space
from nait.cli.subcommands.listing import GROUPS, listed, shown
from nait.core.errors import ConfigError, DataError, StoreError
from nait.core.ranking.score_table import ScoreTable
from nait.store.upkeep.store_sizes import by_kind
from tests.app.commands import warm

FEW = ["model.max_length=128", "template=plain"]


def called(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return warm().run(words, cwd=folder)


@pytest.fixture(scope="module")
def folder(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one selection."""
    made = tmp_path_factory.mktemp("Ordner mit Ü")
    done = called(made, "select", str(home / "pool.jsonl"), "--like", str(home / "refs.jsonl"), "--model",
                  str(home / "model"), *FEW)  # fmt: skip
    assert done.returncode == 0, done.stderr
    for part in ("Stability: ", "Nearest reference rows:\n", " is selected for refs: rank 1, "):
        assert part in done.stdout
    return made


def test_a_row_is_explained_as_text_and_as_json(folder: Path) -> None:
    (run,) = (path.parent for path in (folder / "runs").rglob("run.json"))
    done = called(folder, "explain", "7", "--in", str(run), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (row,) = found["row"]
    assert row["row"] == 7
    assert len(row["layers"]) > 1
    assert len(row["nearest"]) == 3
    assert 0 <= found["stability"]["mean"] <= 1
    text = called(folder, "explain", row["id"], "--in", str(run))
    assert text.stdout.startswith("Row 7 ")
    assert "Stability" in text.stdout
    (similarity,) = {f"{value:.2f}" for _, value in row["nearest"][:1]}
    nearest = text.stdout.partition("Nearest reference rows:\n")[2].splitlines()[0]
    assert nearest.split() == [similarity, "Add", *nearest.split()[2:]]
    assert " -> " in nearest  # the question and the answer of the reference, not its id
    assert all(name not in text.stdout for name, _ in row["nearest"])
    refused = called(folder, "explain", "no such row", "--in", str(run))
    assert refused.returncode == 2
    assert "there is no row 'no such row'" in refused.stderr
    assert "selector" in shown(str(run), "store", as_json=False)
    (selection,) = (path.parent for path in (folder / "store" / "selections").glob("*/manifest.json"))
    assert "answer_tokens" in shown(selection.name[:8], str(folder / "store"), as_json=False)
    with pytest.raises(ConfigError, match="0 runs and selections have this name"):
        shown("nothing", str(folder / "store"), as_json=False)


@pytest.mark.parametrize(
    ("targets", "text"),
    [
        (("math",), "score 0.25"),
        (("math", "code"), "score math 0.25, code 0.5"),
        (("math/a", "math/b", "math/c", "math/d"), "score 0.75 (highest of 4 reference rows)"),
        (("math/a", "math/b", "code"), "score math 0.5 (highest of 2 reference rows), code 0.125"),
    ],
)
def test_a_row_is_shown_with_one_score_for_each_target(targets: tuple[str, ...], text: str) -> None:
    values = np.array([[0.25, 0.5, 0.125, 0.75][: len(targets)]])
    table = ScoreTable(("row",), targets, values, unit="", definition="")
    assert scores_text(table, 0, {"a", "b", "c", "d"}) == text
    assert scores_text(table, 0, ()) == text.replace("reference rows", "columns")  # as in a file of scores


def test_a_file_of_rows_is_shown_with_how_it_is_read_and_the_scores_beside_it(
    folder: Path, home: Path, tmp_path: Path
) -> None:
    given = [
        str(home / "pool.jsonl"),
        "--like",
        str(home / "refs.jsonl"),
        "--model",
        str(home / "model"),
        *FEW,
    ]
    done = called(
        tmp_path, "select", *given, "--rows", "5", "--out", "best", f"paths.store={folder / 'store'}"
    )
    assert done.returncode == 0, done.stderr
    assert "Rows:   best.jsonl\nScores: best.scores.parquet\n" in done.stdout
    text = shown(str(tmp_path / "best.jsonl"), "store", as_json=False)
    first = json.loads((tmp_path / "best.jsonl").read_text().splitlines()[0])
    for part in ("rows       5\n", "format     alpaca\n", "5 of 40 rows were selected", "1. row 0, score ",
                 f"asked:  {first['instruction']}\n", f"answer: {first['output']}\n"):  # fmt: skip
        assert part in text
    found = json.loads(shown(str(tmp_path / "best.jsonl"), "store", as_json=True))
    assert (found["rows"], found["first"][0]) == (5, first)
    (selected,) = (tmp_path / "runs").rglob("selected.jsonl")
    assert "5 of 40 rows were selected" in shown(str(selected), "store", as_json=False)
    lines = (tmp_path / "best.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "best.jsonl").write_text("".join(reversed(lines)))  # as many rows, in another order
    text = shown(str(tmp_path / "best.jsonl"), "store", as_json=False)
    assert "best.scores.parquet is not used: it does not record that it was written for these rows" in text
    assert ", score " not in text
    plain = shown(str(home / "pool.jsonl"), "store", as_json=False)
    assert "columns    instruction, output, input\n" in plain
    assert "scores" not in plain
    assert plain.count("answer:") == 3
    with pytest.raises(
        DataError, match=r"has scores, not rows\. .* nait show FILE, such as best\.jsonl beside it\."
    ):
        shown(str(tmp_path / "best.scores.parquet"), "store", as_json=False)
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match=r"bad\.jsonl"):
        shown(str(tmp_path / "bad.jsonl"), "store", as_json=False)


def test_a_file_of_rows_is_shown_as_keys_of_data_read_it(tmp_path: Path) -> None:
    file = tmp_path / "rows, of two.csv"
    file.write_text("Frage,Die Antwort\nhow many?,two\nwho?,she\nwho?,she\n")
    words = ["data.columns={prompt: Frage, completion: Die Antwort}", "data.limit=3"]
    text = shown(str(file), "store", words, as_json=False)
    for part in ("rows       3\n", "prompt from Frage, completion from Die Antwort\n", "answer: two\n"):
        assert part in text
    assert "rows       2\n" in shown(str(file), "store", [*words, "data.duplicates=first"], as_json=False)
    with pytest.raises(ConfigError, match=r"data\.limt: there is no such key.*'data\.limit'"):
        shown(str(file), "store", ["data.limt=3"], as_json=False)
    with pytest.raises(ConfigError, match=r"the shell split the value at a space.*Quote it: 'data"):
        shown(str(file), "store", words[0].split(), as_json=False)
    for word in ("seed=1", "data.path=b.csv", "b.csv"):
        with pytest.raises(ConfigError, match=f"{word}: this word is not used here"):
            shown(str(file), "store", [word], as_json=False)
    with pytest.raises(ConfigError, match="Only a file takes further words"):
        shown(str(tmp_path), "store", words, as_json=False)
    with pytest.raises(ConfigError, match=r"Did you mean 'rows, of two\.csv'\?"):
        shown(str(tmp_path / "rows, of too.csv"), "store", as_json=False)


def test_a_run_that_nait_select_made_is_verified(folder: Path) -> None:
    (run,) = (path.parent for path in (folder / "runs").rglob("run.json"))
    done = called(folder, "verify", str(run))
    assert done.returncode == 0, done.stderr
    assert "scores and selection recomputed, 0 faults." in done.stdout


def test_a_folder_above_runs_leads_to_the_newest_of_them(folder: Path) -> None:
    (run,) = (path.parent for path in (folder / "runs").rglob("run.json"))
    for words in (("verify", "runs"), ("explain", "7", "--in", "runs"), ("show", str(Path("runs")))):
        done = called(folder, *words)
        assert done.returncode == 2
        assert f"The newest below it is {run.relative_to(folder)}." in done.stderr
    assert run_advice(folder / "store") == "Give the folder of a run."


def test_exported_directions_score_another_pool(folder: Path, home: Path) -> None:
    (made,) = (path.parent for path in (folder / "store" / "directions").glob("*/manifest.json"))
    assert called(folder, "directions", "export", made.name[:8], "refs").returncode == 0
    rows = [json.loads(line) for line in (home / "pool.jsonl").read_text().splitlines()]
    (folder / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:20]))
    done = called(folder, "select", "other.jsonl", "--like", "refs", "--model", str(home / "model"), "--rows", "3",
                  "--out", "best", "paths.store=other", *FEW)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len((folder / "best.jsonl").read_text().splitlines()) == 3
    assert "Stability" not in done.stdout  # there are no reference rows to draw
    imported = called(folder, "directions", "import", "refs", "--store", "other")
    assert imported.stdout == f"Imported: {made.name}\n"
    assert made.name in called(folder, "directions", "ls", "--store", "other").stdout


def test_each_kind_is_listed_with_a_word_on_each() -> None:
    assert all(kind in listed(None) for kind in GROUPS)
    for kind, group in GROUPS.items():
        lines = listed(kind).splitlines()
        assert [line.split()[0] for line in lines] == groups()[group]
        assert all(len(line) <= 100 and len(line.split()) > 1 for line in lines)
    assert "nano_math" in listed("tasks")
    with pytest.raises(ConfigError, match="Did you mean 'models'"):
        listed("model_s")


def test_a_store_is_listed_by_kind(folder: Path, tmp_path: Path) -> None:
    assert {line.split()[0] for line in by_kind(folder / "store").splitlines()} >= {"scores", "selections"}
    assert by_kind(tmp_path) == "The store is empty."
    with pytest.raises(StoreError, match="there is no such store"):
        by_kind(tmp_path / "nothing")


def test_the_doctor_names_what_is_there_and_what_is_in_the_way(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = called(folder, "doctor")
    for part in ("python", "torch", "cores", "GB free", "0 held by running jobs", "network"):
        assert part in done.stdout
    usage = type("Usage", (), {"free": FEW_BYTES - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert _space("store", tmp_path)[2].startswith("Free some space")


@pytest.mark.parametrize(
    ("name", "what"), [("pool", "the pool 'pool' changed"), ("refs", "the reference rows changed")]
)
def test_a_run_whose_files_have_changed_is_not_explained(
    name: str, what: str, home: Path, tmp_path: Path
) -> None:
    """Another row has the place of a row that was scored."""
    for file in ("pool", "refs"):
        (tmp_path / f"{file}.jsonl").write_text((home / f"{file}.jsonl").read_text())
    words = ["select", "pool.jsonl", "--like", "refs.jsonl", "--model", str(home / "model"), *FEW]
    assert called(tmp_path, *words).returncode == 0
    (run,) = (path.parent for path in (tmp_path / "runs").rglob("run.json"))
    lines = (tmp_path / f"{name}.jsonl").read_text().splitlines()
    lines[3] = json.dumps({"instruction": "Do something else", "input": "", "output": "as asked"})
    (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    done = called(tmp_path, "explain", "7", "--in", str(run))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{what} after the run. Select again" in done.stderr


def test_a_run_whose_rows_have_other_numbers_now_is_not_explained(home: Path, tmp_path: Path) -> None:
    lines = (home / "pool.jsonl").read_text().splitlines()
    (tmp_path / "pool.jsonl").write_text("\n".join(lines))
    words = ["select", "pool.jsonl", "--like", str(home / "refs.jsonl"), "--method", "length", "--model"]
    assert called(tmp_path, *words, str(home / "model"), *FEW).returncode == 0
    (run,) = (path.parent for path in (tmp_path / "runs").rglob("run.json"))
    (tmp_path / "pool.jsonl").write_text("\n".join(reversed(lines)))
    done = called(tmp_path, "explain", "7", "--in", str(run))
    assert (done.returncode, done.stdout) == (2, "")
    assert "the order of the pool 'pool' changed after the run. Select again" in done.stderr


def test_a_number_that_is_the_id_of_another_row_is_named(home: Path, tmp_path: Path) -> None:
    lines = (home / "pool.jsonl").read_text().splitlines()[:20]
    rows = [{"id": number, **json.loads(line)} for number, line in enumerate(lines, start=1)]
    (tmp_path / "pool.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ["select", "pool.jsonl", "--like", str(home / "refs.jsonl"), "--method", "length", "--rows", "20"]
    chosen = called(tmp_path, *words, "--model", str(home / "model"), *FEW)
    (run,) = (path.parent for path in (tmp_path / "runs").rglob("run.json"))
    shown = re.search(r"^1\. row (\d+) \(id (\d+)\), ", chosen.stdout, re.MULTILINE)
    assert shown, chosen.stdout
    assert int(shown[2]) == int(shown[1]) + 1
    text = called(tmp_path, "explain", "9", "--in", str(run)).stdout
    assert text.startswith("9 is the id of row 8. For row 9, type 'row 9'.\nRow 8 (id 9) is selected")
    note = json.loads(called(tmp_path, "explain", "9", "--in", str(run), "--json").stdout)["note"]
    assert note == text.splitlines()[0]
    assert called(tmp_path, "explain", "row 9", "--in", str(run)).stdout.startswith(
        "Row 9 (id 10) is selected"
    )
    assert called(tmp_path, "explain", "20", "--in", str(run)).stdout.startswith("Row 19 (id 20) is selected")
