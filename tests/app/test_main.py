"""The command line, as a user meets it: a whole job on a tiny model, reruns, kills, and every bad input."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from nait.store import Store
from nait.sweeps.grouping.collect import collect
from nait.sweeps.stored_runs.run_set import RunSet
from nait.tracking.wandb.pull import pull_runs
from tests.app.warm import Warm
from tests.families import save
from tests.tracking import fakes
from tests.tracking.test_wandb import logs, of_kind, records

Run = Callable[..., subprocess.CompletedProcess[str]]
TASK = """\
task: toy_sums
dataset_path: json
custom_dataset: !function rows.documents
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: [" one", " two"]
doc_to_target: gold
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 1}
"""
ROWS = """\
import datasets


def documents(**_):
    rows = [{"question": f"Which is {i}?", "gold": i % 2} for i in range(6)]
    return {"test": datasets.Dataset.from_list(rows)}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder."""
    return make_home(tmp_path_factory.mktemp("home"))


def make_home(folder: Path) -> Path:
    """A folder with a model, a pool, a reference set and a task of the user's own."""
    save(folder / "model")
    words = ["red", "green", "blue", "sum", "sort", "tree"]
    rows = [{"instruction": f"Do {i} {words[i % 6]}", "input": "", "output": " ".join(words[: 1 + i % 5]), "mine": i}
            for i in range(40)]  # fmt: skip
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    refs = [{"instruction": f"Add {i}", "output": f"{i} and {i * i}"} for i in range(8)]
    (folder / "refs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in refs))
    (folder / "tasks").mkdir()
    (folder / "tasks" / "toy.yaml").write_text(TASK)
    (folder / "tasks" / "rows.py").write_text(ROWS)
    return folder


@pytest.fixture
def nait(home: Path, tmp_path: Path) -> Run:
    """Runs `nait` in an empty folder with the user's files; more arguments override."""

    def run(*arguments: str, bare: bool = False) -> subprocess.CompletedProcess[str]:
        usual = [] if bare else given(home)
        return warm().run([*usual, *arguments], cwd=tmp_path)

    return run


@pytest.fixture
def process(home: Path, tmp_path: Path) -> Run:
    """The same in a process of its own, for what a fork cannot do."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nait", *given(home), *arguments], cwd=tmp_path, env=environment(),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    return run


@cache
def warm() -> Warm:
    return Warm(environment())


def environment() -> dict[str, str]:
    root = Path(__file__).resolve().parents[2]
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root), "WANDB_SILENT": "true"}


def given(home: Path) -> list[str]:
    return [
        "model=local", f"model.path={home / 'model'}", "model.max_length=128", "data=file",
        f"data.path={home / 'pool.jsonl'}", "target=file", f"target.path={home / 'refs.jsonl'}", "template=plain",
        "tracking=files", "eval=gsm8k", "eval.tasks=[toy_sums]", f"eval.include=[{home / 'tasks'}]", "traits=none",
    ]  # fmt: skip


def manifests(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "runs").rglob("run.json"))]


def test_select_alone_writes_the_users_rows_untouched(nait: Run, home: Path, tmp_path: Path) -> None:
    done = nait("stages=[select]", "tracking=wandb", "traits=topics")
    assert done.returncode == 0, done.stderr
    (selected,) = (tmp_path / "runs").rglob("selected.jsonl")
    assert str(selected.relative_to(tmp_path)) in done.stdout
    lines = selected.read_text().splitlines()
    assert len(lines) == 4
    assert set(lines) <= set((home / "pool.jsonl").read_text().splitlines())
    (manifest,) = manifests(tmp_path)
    assert manifest["status"] == "done"
    assert manifest["versions"]["torch"]
    assert manifest["scores"]["diagnostics"]["refs"]["sign_margin"]
    assert manifest["scores"]["length_correlation"]["refs"] is not None
    assert "traits" not in manifest["links"]
    (log,) = logs(selected.parent)
    assert "selection" in {one["type"] for one in of_kind(records(log), "artifact")}


def test_trained_rows_that_are_cut_are_counted_aloud(nait: Run, tmp_path: Path) -> None:
    cut = ["stages=[select,train]", "selector=full", "train.max_steps=1", "model.max_length=18"]
    for _ in range(2):  # trained, then from the store
        done = nait(*cut)
        assert done.returncode == 0, done.stderr
    (adapter,) = (tmp_path / "store" / "adapters").glob("*/manifest.json")
    facts = json.loads(adapter.read_text())
    assert 0 < facts["truncated"] <= facts["rows"]
    said = f"{facts['truncated']} of {facts['rows']} trained rows are longer than model.max_length=18"
    assert [any(said in one for one in run["warnings"]) for run in manifests(tmp_path)] == [True, True]
    whole = nait("stages=[select,train]", "selector=full", "train.max_steps=1")
    assert "trained rows are longer" not in whole.stderr


def test_a_report_says_what_the_selections_of_a_pool_are_made_of(nait: Run, tmp_path: Path) -> None:
    done = nait("-m", "selector=nait,random", "stages=[select,report]", "traits=topics")
    assert done.returncode == 0, done.stderr
    one, other = manifests(tmp_path)
    assert one["links"]["traits"] == other["links"]["traits"]
    (layers,) = (tmp_path / "runs").rglob("layers.parquet")
    assert json.loads((layers.parent / "run.json").read_text())["selector"] == "nait"
    (page,) = (tmp_path / "runs").rglob("report.md")
    assert "Composition of the selections" in page.read_text()
    assert {"composition.svg", "layers.svg"} <= {path.name for path in page.parent.iterdir()}


def test_doubtful_directions_point_to_the_contrast_in_log_manifest_and_report(
    nait: Run, home: Path, tmp_path: Path
) -> None:
    """Directions of this run's own reference rows, their margins made up."""
    assert nait("stages=[select]").returncode == 0
    (made,) = (path.parent for path in (tmp_path / "store" / "directions").glob("*/manifest.json"))
    usual = [word for word in given(home) if not word.startswith("target")]
    for name, margin in (("doubtful", 0.01), ("sure", 0.9)):
        folder = shutil.copytree(made, tmp_path / name)
        arrays = load_file(folder / "arrays.safetensors")
        save_file(
            {**arrays, "sign_margin": np.full_like(arrays["sign_margin"], margin)},
            folder / "arrays.safetensors",
        )
        before = len(manifests(tmp_path))
        done = nait(
            *usual, "target=directions", f"target.paths={{{name}: {folder}}}", "selector.layers=[1,2]",
            "stages=[select,report]", bare=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        manifest = manifests(tmp_path)[before]
        page = max(
            (tmp_path / "runs").rglob("report.md"), key=lambda path: path.stat().st_mtime_ns
        ).read_text()
        said = f"{name}: this reading of NAIT may select the wrong rows here. Compare it with selector=nait_contrast"
        for told in (done.stderr, "\n".join(manifest["warnings"]), page):
            assert (said in told) == (name == "doubtful")


def handed_over(job: Path) -> fakes.Run:
    """A job's run as W&B would give it back, with the record in its log."""
    (log,) = logs(job)
    (sent,) = [one for one in of_kind(records(log), "artifact") if one["type"] == "record"]
    files = {entry["path"]: Path(entry["local_path"]) for entry in sent["manifest"]["contents"]}
    return fakes.Run(job.name, [fakes.Record(sent["name"], files)])


def test_a_sweep_ends_with_one_leaderboard_and_a_rerun_computes_nothing(nait: Run, tmp_path: Path) -> None:
    sweep = ("-m", "selector=nait,random,full", "seed=0", "train.epochs=1")
    first = nait(*sweep, "tracking=wandb")
    assert first.returncode == 0, first.stderr
    for name in ("nait", "random", "full"):
        assert f"\n{name} " in first.stdout
    (board,) = (tmp_path / "runs").rglob("leaderboard.json")
    rows = json.loads(board.read_text())
    assert {row["selector"] for row in rows} == {"nait", "random", "full"}
    assert all(row["n"] == 6 and row["stderr"] is not None for row in rows)
    assert {row["selected_rows"] for row in rows if row["selector"] == "full"} == {40}
    for row in rows:  # each row can be followed back
        for kind in ("selection", "adapter", "evaluation", "run"):
            assert (tmp_path / "store" / f"{kind}s" / row[kind] / "manifest.json").is_file()
    assert json.loads((board.parents[1] / "summary.json").read_text())["jobs"] == 3
    elsewhere = Store(tmp_path / "elsewhere")  # another machine's, made of the jobs' records alone
    jobs = [path.parent for path in board.parents[1].glob("*/run.json")]
    assert pull_runs([handed_over(job) for job in jobs], elsewhere).refused == []
    assert collect(RunSet.load(elsewhere)) == collect(RunSet.load(Store(tmp_path / "store")))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("manifest.json")}
    again = nait(*sweep)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("manifest.json")} == before
    assert "Opening" not in again.stderr


def test_methods_beside_each_other_share_one_pass(nait: Run, tmp_path: Path) -> None:
    done = nait("-m", "selector=random,perplexity,nait", "beside=[nait,perplexity]", "stages=[select]")
    assert done.returncode == 0, done.stderr
    made = [json.loads(path.read_text()) for path in (tmp_path / "store" / "passes").glob("*/manifest.json")]
    (over_the_pool,) = [one for one in made if one["rows"] == 40]
    assert {one["signal"] for one in over_the_pool["signals"]} == {"projections", "losses"}


def test_the_base_model_is_evaluated_with_train_none(nait: Run) -> None:
    done = nait("train=none")
    assert done.returncode == 0, done.stderr
    assert "base (not trained)" in done.stdout


def test_the_base_model_is_not_trained_by_a_recipe_that_a_sweep_names(nait: Run, tmp_path: Path) -> None:
    done = nait("-m", "selector=base,random", "train=full", "train.epochs=1")
    assert done.returncode == 0, done.stderr
    trained = {manifest["selector"]: manifest["trained"] for manifest in manifests(tmp_path)}
    assert trained == {"base": False, "random": True}
    assert "base (not trained)" in done.stdout
    alone = nait("selector=base", "train=lora")
    assert "selector=base evaluates the unchanged model: train=lora is ignored." in alone.stderr


def test_directions_are_reused_without_the_reference_rows(nait: Run, home: Path, tmp_path: Path) -> None:
    assert nait("stages=[select]").returncode == 0
    first = next((tmp_path / "runs").rglob("selected.jsonl")).read_text()
    (manifest,) = (tmp_path / "store" / "directions").glob("*/manifest.json")
    kept = tmp_path / "kept"
    words = ["publish", manifest.parent.name[:8], str(kept), "--store", str(tmp_path / "store")]
    subprocess.run([sys.executable, "-m", "nait.neurons", *words], check=True, capture_output=True)
    usual = [argument for argument in given(home) if not argument.startswith("target")]
    other = [
        "stages=[select]",
        "target=directions",
        f"target.paths={{refs: {kept}}}",
        "paths.store=fresh",
        "paths.runs=other",
    ]
    done = nait(*usual, *other, bare=True)
    assert done.returncode == 0, done.stderr
    assert next((tmp_path / "other").rglob("selected.jsonl")).read_text() == first
    refused = nait(*usual, *other, "selector.site=mlp", bare=True)
    assert refused.returncode == 2
    assert "computed with site=residual, this run has mlp" in refused.stderr


@pytest.fixture(scope="module")
def scoring(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], bytes]:
    """A command that scores 4,000 rows, and the scores it gives in one piece."""
    folder = tmp_path_factory.mktemp("whole")
    rows = [json.loads(line) for line in (home / "pool.jsonl").read_text().splitlines()]
    large = folder / "large.jsonl"
    large.write_text("".join(json.dumps({**row, "instruction": f"{row['instruction']} {k}"}) + "\n"
                             for k in range(100) for row in rows))  # fmt: skip
    command = [sys.executable, "-m", "nait", *given(home), f"data.path={large}", "stages=[select]",
               "engine.batch_tokens=512", "engine.save_seconds=0"]  # fmt: skip
    return command, scores_of(command, folder)


def scores_of(command: list[str], folder: Path) -> bytes:
    """The scores that the command leaves in the folder."""
    subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True, timeout=300)
    newest = max((folder / "runs").rglob("scores.parquet"), key=lambda path: path.stat().st_mtime_ns)
    return newest.read_bytes()


def stopped(
    command: list[str], folder: Path, how: signal.Signals, *, when: str, count: int
) -> tuple[int, str]:
    """The exit code and the log of a job that gets the signal once so many files like `when` stand there."""
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as job:
        for _ in range(5000):
            if len(list(folder.rglob(when))) >= count:
                break
            assert job.poll() is None, "the job ended before it could be stopped"
            time.sleep(0.02)
        job.send_signal(how)
        _, said = job.communicate(timeout=60)
        return job.returncode, said


def test_a_killed_job_goes_on_and_gives_the_same_bytes(
    scoring: tuple[list[str], bytes], tmp_path: Path
) -> None:
    command, whole = [*scoring[0], "engine.chunk_tokens=2000"], scoring[1]
    stopped(command, tmp_path, signal.SIGKILL, when="passes/*.part/chunk-*.npz", count=3)
    assert len(list(tmp_path.rglob("chunk-*.npz"))) >= 3
    assert scores_of(command, tmp_path) == whole


def test_an_interrupted_job_keeps_what_it_measured_and_says_how_to_continue(
    scoring: tuple[list[str], bytes], tmp_path: Path
) -> None:
    command, whole = scoring
    kept = []
    for how, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        before = len(list(tmp_path.rglob("begun-*")))
        ended, said = stopped(command, tmp_path, how, when="passes/*.part/begun-*.npz", count=before + 3)
        assert ended == code, said
        assert "Traceback" not in said
        (rows,) = re.findall(
            r"^\S+ W Reading large: (\d+) of 4000 rows are measured and kept", said, re.MULTILINE
        )
        kept.append(int(rows))
        assert shlex.join(["nait", *command[3:]]) in said
    assert 0 < kept[0] < kept[1] < 4000
    assert scores_of(command, tmp_path) == whole
    taken = [
        made.manifest.get("earlier_seconds", 0.0) for made in Store(tmp_path / "store").artifacts("passes")
    ]
    assert max(taken) > 0
    (last,) = (manifest for manifest in manifests(tmp_path) if manifest["status"] == "done")
    assert last["seconds"]["select"] > max(taken), "a selection takes what all its attempts took"


BAD = [
    ("an unknown key", ["selector.layerz=1"], ["selector.layerz", "Did you mean 'selector.layers'"]),
    ("an unknown option", ["selector=nate"], ["selector=nate", "Did you mean 'nait'"]),
    ("a missing file", ["data.path=nowhere.jsonl"], ["nowhere.jsonl", "no such file"]),
    ("a missing value", ["data.path=???"], ["data.path", "Set data.path="]),
    ("an unknown stage", ["stages=[selekt]"], ["stages", "Did you mean 'select'"]),
    ("a report of nothing", ["stages=[report]"], ["stages", "nothing to report on", "nait-leaderboard"]),
    ("an unknown site", ["selector.site=mpl"], ["selector.site", "Did you mean 'mlp'"]),
    ("a ratio above 1", ["budget.ratio=3"], ["budget.ratio", "0.1 selects a tenth"]),
    (
        "a one-row reference set",
        ["target.limit=1"],
        ["target 'refs'", "at least two different reference rows"],
    ),
    ("an unknown task", ["eval.tasks=[toy_sumz]"], ["toy_sumz", "toy_sums"]),
    ("a model that is not there", ["model.path=nowhere"], ["model.path=nowhere", "no such folder"]),
    ("a value of the wrong kind", ["seed=abc"], ["seed", "is not a whole number"]),
    ("a length beyond the context", ["model.max_length=1896"], ["model.max_length", "256"]),
]


@pytest.mark.parametrize(("arguments", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input_gets_one_clear_message_before_a_model_is_opened(
    nait: Run, arguments: list[str], words: list[str]
) -> None:
    done = nait(*arguments)
    assert done.returncode == 2, done.stderr
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert "Opening" not in done.stderr
    said = [line for line in done.stderr.splitlines() if words[0] in line]
    said = [line for line in said if not line.endswith(" is used.")]  # of a key that is given twice, as here
    assert len(said) == 1, done.stderr


def test_a_row_without_an_answer_is_named(nait: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"instruction": "a", "output": "b"}\n{"instruction": "a"}\n')
    done = nait(f"data.path={tmp_path / 'bad.jsonl'}")
    assert done.returncode == 2
    for word in ("bad.jsonl", "line 2", "output"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("", ["template=file", "template.path=short.yaml", "selector=random"]),
        (
            "selector.template",
            ["selector=selectit", "selector.template.prompt='Q: {instruction}'"],
        ),
    ],
    ids=["the job's template", "a method's own template"],
)
def test_a_field_that_a_template_drops_is_named_before_a_model_is_opened(
    nait: Run, path: str, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "short.yaml").write_text('prompt: "{instruction}: "\n')
    (tmp_path / "in.jsonl").write_text(
        '{"instruction": "a", "output": "b"}\n{"instruction": "a", "input": "x", "output": "b"}\n'
    )
    done = nait(f"data.path={tmp_path / 'in.jsonl'}", "stages=[select]", *arguments)
    assert done.returncode == 2, done.stderr
    for word in ("in.jsonl line 2", "does not show its input", "template.prompt_with_input", path):
        assert word in done.stderr
    assert "Opening" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failing_job_does_not_stop_the_others(nait: Run, tmp_path: Path) -> None:
    done = nait("-m", "budget.ratio=3,0.2", "stages=[select]")
    assert done.returncode == 2
    assert [manifest["status"] for manifest in manifests(tmp_path)] == ["done"]


def test_jobs_run_side_by_side_and_are_shown_as_they_end(process: Run, tmp_path: Path) -> None:
    sweep = [
        "-m",
        "selector=random,full",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "stages=[select]",
    ]
    done = process(*sweep)
    assert done.returncode == 0, done.stderr
    assert [manifest["status"] for manifest in manifests(tmp_path)] == ["done", "done"]
    assert "[2/2]" in done.stderr


def test_help_and_version_are_quick_and_need_no_heavy_import() -> None:
    call = "sys.argv=['nait','--help']; from nait.__main__ import main; main()"
    code = f"import sys; {call}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")
    assert "stages=[select]" in done.stdout
