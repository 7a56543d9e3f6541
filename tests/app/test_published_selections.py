"""Scores from a file on the command line: a job like any other, and published selections in one report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import parquet

from nait.store import Store
from nait.sweeps.reports.leaderboard import measured
from nait.sweeps.stored_runs.run_set import RunSet
from tests.app.commands import Run, manifests, warm


def test_a_judges_scores_select_and_their_cost_is_shown_as_typed_in(
    nait: Run, tmp_path: Path, home: Path
) -> None:
    rows = [{"row": k, "score": -k} for k in range(30)]
    (tmp_path / "judge.csv").write_text("row,score\n" + "".join(f"{r['row']},{r['score']}\n" for r in rows))
    words = (
        "selector=scores",
        "selector.path=judge.csv",
        "label=judge",
        "stages=[select,report]",
        "cost=rented",
    )
    done = nait(*words, "selector.cost.hours=2", "selector.cost.money=7", "cost.price_per_device_hour=3")
    assert done.returncode == 0, done.stderr
    assert "10 rows of the pool have no score (not in the file of scores)" in done.stderr
    (manifest,) = manifests(tmp_path)
    assert manifest["scores"]["ineligible"] == {"not in the file of scores": 10}
    assert manifest["seconds"]["select"] == pytest.approx(7200, abs=60)
    (selected,) = (tmp_path / "runs").rglob("selected.jsonl")
    assert [json.loads(line)["mine"] for line in selected.read_text().splitlines()] == [0, 1, 2, 3]
    (found,) = measured(RunSet.load(Store(tmp_path / "store")))
    assert found.lines[0].money == pytest.approx(2 * 3 + 7, abs=0.1)
    note = "judge: the cost of scoring was typed in, not measured (selector.cost): 2.00 h and a bill of 7.00."
    assert note in found.sheet.notes
    assert note in done.stdout


def test_ratings_that_are_too_coarse_for_a_budget_are_a_warning_in_log_record_and_report(
    nait: Run, tmp_path: Path, home: Path
) -> None:
    (tmp_path / "judge.csv").write_text("row,score\n" + "".join(f"{k},{4 + k % 2}\n" for k in range(30)))
    done = nait("selector=scores", "selector.path=judge.csv", "label=judge", "stages=[select,report]")
    assert done.returncode == 0, done.stderr
    said = "100% of the selected rows would be others if ids decided the other way between equal scores"
    (record,) = (tmp_path / "runs").rglob("run.json")
    assert any(said in one for one in json.loads(record.read_text())["warnings"])
    assert said in done.stderr
    (report,) = (tmp_path / "runs").rglob("report.md")
    assert said in report.read_text()


LIMIT = 8000
"""Rows of Alpaca: enough for each of the selections to have some."""


@pytest.mark.slow
def test_the_published_selections_of_alpaca_are_in_one_report(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    path = shared("data/reference/alpaca_selections.parquet")
    published: dict[str, set[int]] = {}
    for row in parquet.read_table(path).to_pylist():
        if row["alpaca_row"] < LIMIT:
            published.setdefault(row["selection"], set()).add(row["alpaca_row"])
    assert len(published) == 11
    words = [
        "-m", "selector=scores", f"selector.path={path}", "selector.join=row", "selector.key=alpaca_row",
        "selector.columns=rank", "selector.direction=lowest", f"selector.only.selection={','.join(published)}",
        "data=file", f"data.path={shared('data/pools/alpaca_52k.parquet')}", f"data.limit={LIMIT}", "target=none",
        "model=local", f"model.path={shared('models/stories260K')}", "model.max_length=512", "template=plain",
        "tracking=files", "contamination=none", "traits.languages=false", "stages=[select,report]",
        "budget.ratio=1.0", "budget.allow_fewer=true",
    ]  # fmt: skip
    done = warm().run(words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").rglob("report")
    text = (folder / "report.md").read_text()
    assert (folder / "overlap.svg").is_file()
    names = dict(re.findall(r"^- (.+): only.selection=(\w+)\.$", text, re.MULTILINE))  # of long names
    lines = text[text.index("Composition of the selections") :].splitlines()
    header, *body = (line for line in lines if line.startswith("| "))
    assert header.split("|")[2].strip() == "rows"
    counted = {}
    for line in body[:12]:
        name, rows = (cell.strip() for cell in line.split("|")[1:3])
        full = names.get(name) or names.get(name.removeprefix("scores ")) or name.rpartition("=")[2]
        counted[full] = int(rows)
    assert counted.pop("the pool") == pytest.approx(LIMIT, abs=50)
    wanted = {name: len(rows) for name, rows in published.items()}
    assert counted == pytest.approx(wanted, rel=0.1, abs=3)  # without rows whose answer is cut off
