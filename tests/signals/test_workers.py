"""Shared passes: no chunk is measured twice, the bytes are the same, and no process waits for a dead one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.commands import warm
from tests.app.warm import Started
from tests.families import save

PROCESS = """
import json, os, sys, time
from pathlib import Path

from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate
from nait.neurons.scorer import Nait
from nait.signals.passes.chunks import Chunks
from nait.signals.passes.options import Engine
from nait.signals.extractor import StoredExtractor
from nait.store import Store
from tests.families import pool, target

model, store, dies = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "dies"
rank, count = os.environ.get("RANK", "0"), int(os.environ.get("WORLD_SIZE", "1"))
x = StoredExtractor(
    LocalModel(str(model), device="cpu", max_length=128), Store(store), TextTemplate(prompt="Q: {user}\\nA: "),
    engine=Engine(progress=False, batch_tokens=128, chunk_tokens=64),
)
write, made = Chunks.write, []

def slow(chunks, number, *others):
    if count > 1:
        time.sleep(0.1)  # so that nobody is done before the other has begun
    if dies and len(made) == 1:
        os._exit(9)
    made.append(str(chunks.path(number)))
    write(chunks, number, *others)

Chunks.write = slow
x.encodings.network()
(store / f"ready-{rank}").touch()
while len(list(store.glob("ready-*"))) < count:
    time.sleep(0.01)
table = Nait(center=True, pool_sample=1000).score(pool(), [target()], x)
print(json.dumps({"values": table.values.tobytes().hex(), "made": made}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save(tmp_path_factory.mktemp("model"))
    (folder / "process.py").write_text(PROCESS)
    return folder


def start(folder: Path, store: Path, *, rank: int = 0, count: int = 1, dies: bool = False) -> Started:
    store.mkdir(exist_ok=True)
    return warm().start(
        [str(folder), str(store), "dies" if dies else "lives"], script=str(folder / "process.py"),
        cwd=Path(__file__).parents[2], environment={"RANK": str(rank), "WORLD_SIZE": str(count)},
    )  # fmt: skip


def end(process: Started) -> dict[str, Any]:
    done = process.wait()
    return {"code": done.returncode, **(json.loads(done.stdout.splitlines()[-1]) if done.stdout else {})}


def arrays(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in (store / "passes").rglob("*.npy")}


@pytest.fixture(scope="module")
def alone(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    store = tmp_path_factory.mktemp("alone")
    return store, end(start(folder, store))


def test_two_processes_share_a_pass_without_overlap_and_give_the_bytes_of_one(
    folder: Path, tmp_path: Path, alone: tuple[Path, dict[str, Any]]
) -> None:
    found = [end(one) for one in [start(folder, tmp_path, rank=rank, count=2) for rank in (0, 1)]]
    assert [one["code"] for one in found] == [0, 0]
    store, single = alone
    assert found[0]["values"] == found[1]["values"] == single["values"]
    assert arrays(tmp_path) == arrays(store)
    first, second = (set(one["made"]) for one in found)
    assert not first & second
    assert len(first) + len(second) == len(single["made"]) == len(set(single["made"]))
    assert min(len(first), len(second)) > 1, "one process did all"
    left = {path.suffix for path in (tmp_path / "passes").iterdir()}
    assert left <= {"", ".lock", ".lead"}, "something was left beside the passes"
    assert not list((tmp_path / "passes").rglob("chunk-*"))


def test_the_work_of_a_process_that_dies_is_taken_over(
    folder: Path, tmp_path: Path, alone: tuple[Path, dict[str, Any]]
) -> None:
    leader, helper = (
        start(folder, tmp_path, rank=0, count=2),
        start(folder, tmp_path, rank=1, count=2, dies=True),
    )
    assert end(helper)["code"] == 9
    found = end(leader)
    assert found["code"] == 0
    assert found["values"] == alone[1]["values"]
    assert arrays(tmp_path) == arrays(alone[0])


def test_one_process_whose_peers_never_start_does_all_the_work(
    folder: Path, tmp_path: Path, alone: tuple[Path, dict[str, Any]]
) -> None:
    (tmp_path / "ready-0").touch()
    assert end(start(folder, tmp_path, rank=1, count=2))["values"] == alone[1]["values"]
