"""`nait verify RUN`: what a run's result was made of is whole, and its scores and selection come out again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.cli.selection.recorded_code import check_command
from nait.cli.subcommands.main_app import work_of
from nait.core.errors import ConfigError, NaitError
from nait.store import Store
from nait.store.upkeep.run_chain import chain_of, recompute
from tests.app.commands import Run, warm

VALUES = {"scores": b"12", "selections": b"2"}


def write(store: Store, values: dict[str, bytes]) -> dict[str, str]:
    """A chain of a measurement, its scores and their selection. Returns the links of a run."""

    def file(content: bytes, **facts: Any) -> Any:
        def made(part: Path) -> dict[str, Any]:
            (part / "values").write_bytes(content)
            return facts

        return made

    measured = store.produce("passes", {"pass": 1}, file(b"raw"))
    made_of = [["passes", measured.address, [0]]]
    scores = store.produce("scores", {"scores": 1}, file(values["scores"], made_of=made_of))
    selection = store.produce("selections", {"of": scores.address}, file(values["selections"]))
    store.produce("passes", {"pass": 2}, file(b"of another run"))
    return {"selection": selection.address, "adapter": None}  # type: ignore[dict-item]


def test_a_chain_is_what_a_run_leads_to_and_is_recomputed_beside_its_store(tmp_path: Path) -> None:
    store = Store(tmp_path)
    chain = chain_of(store.root, write(store, VALUES))
    assert chain.faults == ()
    assert sorted(one.kind for one in chain.artifacts) == ["passes", "scores", "selections"]
    seen: list[set[str]] = []

    def run(scratch: Path) -> None:
        seen.append({path.parent.name for path in scratch.glob("*/*")})
        write(Store(scratch), VALUES)

    assert recompute(store.root, chain, run, kinds=("scores", "selections")) == []
    assert recompute(store.root, chain, run, kinds=None) == []
    assert seen == [{"passes"}, set()], "only what is not recomputed is there already"
    assert not list(tmp_path.glob("verify-*"))


def test_a_difference_an_absent_artifact_and_a_damaged_one_are_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    links = write(store, VALUES)
    chain = chain_of(store.root, links)
    other = {**VALUES, "scores": b"21"}
    (line,) = recompute(store.root, chain, lambda scratch: void(write(Store(scratch), other)), kinds=None)
    assert line.endswith("values: differs when it is recomputed")
    found = recompute(store.root, chain, lambda _: None, kinds=("scores",))
    assert [one.partition(": ")[2] for one in found] == ["is not what its run computes now"]
    (store.folder("passes", {"pass": 1}) / "values").write_bytes(b"rav")
    assert "differs from its checksum" in chain_of(store.root, links).faults[0]
    (line,) = chain_of(store.root, {"selection": "0" * 32}).faults
    assert line == f"selection {'0' * 32}: is not in the store"


def void(_: object) -> None: ...


def test_a_run_is_verified_by_its_folder(nait: Run, tmp_path: Path) -> None:
    done = nait("selector=random", "stages=[select]", "seed=3")
    assert done.returncode == 0, done.stderr
    (run,) = (path.parent for path in (tmp_path / "runs").rglob("run.json"))
    before = sorted(path for path in (tmp_path / "store").rglob("*") if path.is_file())
    done = warm().run(
        ["verify", str(run), "--trust"], cwd=tmp_path
    )  # the command trusts the task's functions
    assert done.returncode == 0, done.stderr
    assert "scores and selection recomputed, 0 faults." in done.stdout
    assert sorted(path for path in (tmp_path / "store").rglob("*") if path.is_file()) == before
    record = json.loads((run / "run.json").read_text())
    chosen = tmp_path / "store" / "selections" / record["links"]["selection"] / "selected.jsonl"
    chosen.write_bytes(chosen.read_bytes().replace(b"1", b"2", 1))
    done = warm().run(["verify", str(run), "--trust"], cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "selected.jsonl: differs from its checksum" in done.stdout


@pytest.mark.parametrize(
    "word",
    [
        "--config-dir=/elsewhere", "-cn", "hydra.run.dir=/elsewhere", "+hydra.job.chdir=true",
        "model.path=${oc.env:HOME}", "model.trust_remote_code=true", "eval.trust_task_code=true",
        "eval.allow_code_execution=true", "selector._target_=os.system",
    ],
)  # fmt: skip
def test_a_recorded_command_that_may_run_code_is_not_run_again_without_trust(word: str) -> None:
    path = Path("run.json")
    with pytest.raises(ConfigError, match="may run code"):
        check_command(["selector=random", word], path, trusted=False)
    check_command(["selector=random", word], path, trusted=True)
    check_command(["selector=random", "+experiment=demo", "hydra.mode=RUN"], path, trusted=False)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"links": {}}'])
def test_a_folder_without_a_result_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ConfigError, match="holds no run"):
        work_of(["verify", str(tmp_path)])()


def without_contamination(record: dict[str, Any]) -> None:
    record["config"]["contamination"] = ["exclude"]


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "a quote that does not end": lambda record: record["config"].update(command="nait data.path='x"),
    "a command that is a list": lambda record: record["config"].update(command=["nait"]),
    "a link to a list": lambda record: record["links"].update(adapter=["x"]),
    "links that are a list": lambda record: record.update(links=[["selection", "x"]]),
    "a rule that is a list": without_contamination,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_record_of_another_form_is_refused_by_name(name: str, tmp_path: Path) -> None:
    parts = (
        "data", "target", "model", "selector", "order", "budget", "template", "engine", "train", "eval", "cost",
        "report", "tracking", "options",
    )  # fmt: skip
    config: dict[str, Any] = {
        **{part: {} for part in parts}, "stages": ["select"], "paths": {"store": str(tmp_path)},
        "store": {"wait_seconds": None, "limit_gb": None}, "seed": 0, "group": None, "label": None, "plan": False,
        "beside": [], "command": "nait selector=random", "contamination": {"exclude": True},
    }  # fmt: skip
    links: dict[str, Any] = {"selection": None, "scores": None}
    record: dict[str, Any] = {"config": config, "links": links, "warnings": []}
    HOSTILE[name](record)
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(NaitError, match=r"run\.json|holds no run"):
        work_of(["verify", str(tmp_path)])()


def test_a_run_of_a_python_program_is_named_as_one(tmp_path: Path) -> None:
    record = {"links": {"selection": "0" * 32}, "config": {"command": "", "paths": {"store": "store"}}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match=r"a Python program made it, .* Select by nait select or nait run"):
        work_of(["verify", str(tmp_path)])()


@pytest.mark.parametrize("command", ["show", "verify", "submit", "publish", "explain"])
def test_a_pipe_in_place_of_a_record_is_not_read(command: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.json")
    words = {
        "publish": ["publish", str(tmp_path), str(tmp_path / "out")],
        "explain": ["explain", "0", "--in", str(tmp_path)],
    }
    with pytest.raises(NaitError):
        work_of(words.get(command, [command, str(tmp_path)]))()


def test_a_record_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    os.truncate(tmp_path / "run.json", 1 << 40)
    with pytest.raises(NaitError, match="it has more than 256 MB"):
        work_of(["show", str(tmp_path)])()
