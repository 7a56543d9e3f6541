"""Workspaces: a view follows from what the runs have logged; only saving it asks the network."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from nait.core.errors import NaitError
from nait.tracking.wandb.workspaces import report, save_view, view

from .fakes import Api, Run, serve

NAMES = {
    "means", "leaderboard", "transfer", "minus_random/gsm8k/acc/nait", "stderr/gsm8k/acc",
    "eval/gsm8k/acc", "eval/bbh/acc", "truth/precision", "seconds/select", "seconds/train",
    "train/loss", "train/step", "pictures/cost", "jobs", "_step",
}  # fmt: skip


@pytest.fixture
def library() -> Any:
    return pytest.importorskip("wandb_workspaces.workspaces")


def spec(made: Any) -> dict[str, Any]:
    """The part of a view's definition, as it is sent, that holds runs and panels."""
    found: dict[str, Any] = made._to_model().model_dump(by_alias=True, exclude_none=True)
    return dict(found["spec"]["section"])


def panels(section: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {
        one["name"]: [p["config"] for p in one["panels"]] for one in section["panelBankConfig"]["sections"]
    }


def test_each_kind_of_number_has_a_section(library: Any) -> None:
    found = panels(spec(view("team/nait", NAMES)))
    assert list(found) == [
        "Leaderboard", "Benchmarks", "Differences to random", "Ground truth", "Seconds", "Training", "Pictures",
    ]  # fmt: skip
    assert [bar["metrics"] for bar in found["Benchmarks"]] == [["eval/bbh/acc"], ["eval/gsm8k/acc"]]
    assert [bar["metrics"] for bar in found["Seconds"]] == [["seconds/select"], ["seconds/train"]]
    (curve,) = found["Training"]
    assert (curve["xAxis"], curve["metrics"]) == ("train/step", ["train/loss"])
    assert found["Pictures"][0]["mediaKeys"] == ["pictures/cost"]
    tables = [one["panel2Config"]["exp"]["fromOp"]["inputs"]["key"]["val"] for one in found["Leaderboard"]]
    assert tables == ["means", "leaderboard", "transfer"]


def test_runs_bars_and_curves_are_grouped_by_selector(library: Any) -> None:
    section = spec(view("team/nait", NAMES))
    (runs,) = section["runSets"]
    assert runs["grouping"] == [{"section": "config", "name": "labels.value.selector"}]
    found = panels(section)
    for config in (*found["Benchmarks"], *found["Seconds"], *found["Training"]):
        assert (config["groupBy"], config["groupAgg"]) == ("labels.value.selector", "mean")


def test_a_report_has_the_same_panels_with_their_errors(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, Api("team/nait", []))
    made = report("team/nait", NAMES)._to_model().model_dump(by_alias=True, exclude_none=True)
    blocks = made["spec"]["blocks"]
    grids = [one for one in blocks if one["type"] == "panel-grid"]
    titles = [one["children"][0]["text"] for one in blocks if one["type"] == "heading"]
    assert titles == list(panels(spec(view("team/nait", NAMES))))
    assert len(grids) == len(titles)
    bars = [panel["config"] for panel in grids[1]["metadata"]["panelBankSectionConfig"]["panels"]]
    assert [bar["metrics"] for bar in bars] == [["eval/bbh/acc"], ["eval/gsm8k/acc"]]
    assert {(bar["groupBy"], bar["groupArea"]) for bar in bars} == {("labels.value.selector", "stderr")}


def test_the_run_list_shows_each_benchmark(library: Any) -> None:
    (runs,) = spec(view("team/nait", NAMES))["runSets"]
    assert list(runs["runFeed"]["columnPinned"]) == [
        "run:displayName", "summary:eval/bbh/acc", "summary:eval/gsm8k/acc",
    ]  # fmt: skip


def test_what_was_never_logged_has_no_section(library: Any) -> None:
    assert list(panels(spec(view("team/nait", {"seconds/select"})))) == ["Seconds"]


def test_a_saved_view_shows_what_the_projects_runs_logged(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    def save(made: Any) -> dict[str, Any]:
        sent.append(made)
        return {"upsertView": {"view": {"name": "nw-abc-v", "id": "1"}}}

    api = Api(
        "team/nait",
        [Run("a", summary_metrics={"eval/x/acc": 1}), Run("b", summary_metrics={"train/loss": 2})],
    )
    api.client = SimpleNamespace(app_url="https://wandb.test")  # type: ignore[attr-defined]
    serve(monkeypatch, api)
    monkeypatch.setattr(library.internal, "upsert_view2", save)
    assert save_view("team/nait") == "https://wandb.test/team/nait?nw=abc"
    assert set(panels(spec(SimpleNamespace(_to_model=lambda: sent[0])))) == {"Benchmarks", "Training"}


def test_without_the_extra_the_mend_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(NaitError, match=r"pip install 'nait\[workspaces\]'"):
        save_view("team/nait")
