"""The summary of a sweep: its tables, pictures and page stand in one run, in files and in W&B."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from nait.runs.sweep_summary import differences_of, summarise_sweep
from nait.store import Store, write_json
from nait.sweeps.analyses.cost_table import Costs
from nait.sweeps.reports.full_report import Report
from nait.sweeps.reports.leaderboard import Leaderboard
from nait.tracking.trackers import combined
from tests.sweeps.fixtures import put
from tests.tracking.test_wandb import history, logs, of_kind, records


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep's folder, after its summary, with the store beside it."""
    store, folder = Store(tmp_path / "store"), tmp_path / "sweep"
    for target in ("math", "code"):
        for selector, share in (("nait", 0.6), ("random", 0.3)):
            run = put(store, selector, target=target, share=share)
            job = folder / f"{selector}-{target}"
            job.mkdir(parents=True)
            labels = {"selector": selector, "target": target, "budget": "10%", "pool": "p"}
            write_json(job / "run.json", {"status": "done", "links": {"run": run}, **labels})
    tracker = combined(str(folder), mode="offline")
    records = sorted(folder.glob("*/run.json"))
    summarise_sweep(
        folder, records, store=str(store.root), reporter=Report(), tracker=tracker, config={"group": None}
    )
    return folder


def test_the_files_name_jobs_without_a_result(sweep: Path, tmp_path: Path) -> None:
    record = json.loads((sweep / "nait-math" / "run.json").read_text())
    write_json(sweep / "nait-math" / "run.json", {**record, "status": "failed", "seed": 7, "links": {}})
    for reporter in (Report(), Leaderboard(), Costs()):
        summarise_sweep(
            sweep, sorted(sweep.glob("*/run.json")), store=str(tmp_path / "store"), reporter=reporter,
            tracker=combined(str(sweep), mode="disabled"), config={"group": None},
            failed=["selector=less: <b>no memory</b>"],
        )  # fmt: skip
        names = ("costs.md",) if isinstance(reporter, Costs) else ("leaderboard.md",)
        for name in (*names, *(("report.html", "report.md") if isinstance(reporter, Report) else ())):
            text = (sweep / "report" / name).read_text()
            assert "Failed jobs" in text, name
            assert "selector=less: &lt;b&gt;no memory" in text, name
            assert "nait (seed 7)" in text, name


def test_the_files_hold_the_leaderboard_and_the_matrix_as_tables(sweep: Path) -> None:
    for name in ("leaderboard", "transfer"):
        with (sweep / "tables" / f"{name}.csv").open(newline="") as stream:
            tabled = list(csv.DictReader(stream))
        with (sweep / "report" / f"{name}.csv").open(newline="") as stream:
            written = list(csv.DictReader(stream))
        assert [list(row) for row in tabled] == [list(row) for row in written]
        number = "value" if name == "leaderboard" else "difference"
        assert [float(row[number]) for row in tabled] == [float(row[number]) for row in written]
    assert json.loads((sweep / "summary.json").read_text())["jobs"] == 4


def test_wandb_shows_the_tables_with_numbers_the_pictures_and_the_page(sweep: Path) -> None:
    (log,) = logs(sweep)
    found = records(log)
    rows = {name: history(found, f"{name}.nrows") for name in ("leaderboard", "transfer")}
    assert all(count > 0 for (count,) in rows.values())
    (table,) = log.parent.glob("files/media/table/transfer*.json")
    shown = json.loads(table.read_text())
    (cell, *_) = shown["data"]
    assert isinstance(cell[shown["columns"].index("difference")], float)
    assert isinstance(cell[shown["columns"].index("seeds")], int)
    pictures = {path.stem for path in (sweep / "report").glob("*.svg")}
    assert {"cost", "transfer"} <= pictures
    media = log.parent / "files" / "media" / "html"
    for name in (*(f"pictures/{picture}" for picture in pictures), "report"):
        (page,) = media.glob(f"{name}_*.html")
        file = sweep / "report" / (f"{Path(name).name}.svg" if "/" in name else "report.html")
        assert page.read_text() == file.read_text()
    (kept,) = [one for one in of_kind(found, "artifact") if one["type"] == "report"]
    names = {entry["path"] for entry in kept["manifest"]["contents"]}
    assert names == {path.name for path in (sweep / "report").iterdir()}


def test_differences_of_several_tables_do_not_share_a_name(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for model, share in (("m0", 0.6), ("m1", 0.9)):
        put(store, "nait", share=share, **{"model.model": model})
        put(store, "random", share=0.3, **{"model.model": model})
    (tmp_path / "report").mkdir()
    Report().report(store, None, tmp_path / "report")
    with (tmp_path / "report" / "means.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["difference"]]
    found = differences_of(tmp_path / "report" / "means.csv")
    assert sorted(found.values()) == sorted(float(row["difference"]) for row in rows)
    assert {key.split("/")[1] for key in found} == {"table-1", "table-2"}


def test_differences_of_one_table_have_no_number(sweep: Path) -> None:
    found = differences_of(sweep / "report" / "means.csv")
    assert found
    assert not any("table-" in key for key in found)


def test_differences_of_one_seed_are_named_untested(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for selector, seeds in (("nait", (0, 1)), ("rds", (0,)), ("random", (0, 1))):
        for seed in seeds:
            put(store, selector, seed=seed, share=0.3 if selector == "random" else 0.6)
    (tmp_path / "report").mkdir()
    Report().report(store, None, tmp_path / "report")
    found = {
        ("/nait/" in key, key.split("/")[0]) for key in differences_of(tmp_path / "report" / "means.csv")
    }
    assert found == {(True, "minus_random"), (False, "minus_random_untested")}


def test_the_tracked_names_are_those_of_the_lines(tmp_path: Path) -> None:
    store, folder = Store(tmp_path / "store"), tmp_path / "sweep"
    for order in ("Shuffled", "Highest"):
        job = folder / order
        job.mkdir(parents=True)
        labels = {"selector": "nait", "target": "math", "budget": "10%", "pool": "p"}
        links = {"run": put(store, "nait", order=order)}
        write_json(job / "run.json", {"status": "done", "links": links, **labels})
    tracker = combined(str(folder), mode="disabled")
    summarise_sweep(
        folder, sorted(folder.glob("*/run.json")), store=str(store.root), reporter=Report(), tracker=tracker,
        config={"group": None},
    )  # fmt: skip
    tracked = json.loads((folder / "summary.json").read_text())
    assert tracked["compared"] == ["budget=10%", "selector=nait", "selector=random", "target=math"]
