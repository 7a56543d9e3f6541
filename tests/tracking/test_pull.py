"""Pull: a project's records become a store, and nothing else than records does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import wandb

from nait.core.errors import NaitError
from nait.store import Store, read_json, write_json
from nait.store.last_use import USED, last_use
from nait.sweeps.grouping.collect import collect
from nait.sweeps.stored_runs.run_set import RunSet
from nait.tracking.bundles import PARTS, bundle, is_place
from nait.tracking.wandb.api import public_api
from nait.tracking.wandb.pull import pull, pull_runs
from tests.sweeps.fixtures import put

from .fakes import Api, Record, Run, record, serve

AT = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def made(tmp_path: Path) -> Store:
    """The store of another machine, with a run."""
    store = Store(tmp_path / "made")
    put(store, "nait", texts=True)
    return store


@pytest.fixture
def sent(made: Store) -> Record:
    """That run's record."""
    (run,) = made.artifacts("runs")
    return record(made, run.address)


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(tmp_path / "here")


def files(store: Store) -> dict[str, bytes]:
    """Place -> content, without locks, times of use, and what no record holds."""
    kept = [path for path in store.root.rglob("*") if path.is_file() and path.suffix != ".lock"]
    found = [path for path in kept if path.name != USED]
    return {path.relative_to(store.root).as_posix(): path.read_bytes() for path in found}


def test_a_pulled_folder_is_the_store_it_came_from(made: Store, sent: Record, here: Store) -> None:
    (made.artifacts("evaluations")[0].path / "samples.parquet").write_bytes(b"large, and read by no table")
    pulled = pull_runs([Run("a", [sent])], here)
    assert (pulled.fetched, pulled.known, pulled.without_record, pulled.refused) == (1, 0, 0, [])
    expected = {place: content for place, content in files(made).items() if "samples" not in place}
    assert files(here) == expected
    assert pulled.size == sum(map(len, expected.values()))
    assert collect(RunSet.load(here)) == collect(RunSet.load(made))
    assert {path.name for path in here.root.iterdir()} <= set(PARTS)


def test_a_run_that_is_here_is_not_fetched_again(sent: Record, here: Store) -> None:
    pull_runs([Run("a", [sent])], here)
    again = pull_runs([Run("a", [sent]), Run("again", [sent])], here)
    assert (again.fetched, again.known, again.size, sent.downloads) == (0, 2, 0, 1)


def test_a_record_was_last_used_when_the_latest_of_its_runs_was_created(sent: Record, here: Store) -> None:
    early, late = (
        Run(name, [sent], created_at=f"{year}-01-01T00:00:00Z") for name, year in (("a", 2100), ("b", 2101))
    )
    pull_runs([late, early], here)
    (record,) = here.artifacts("runs")
    assert last_use(record) == "2101-01-01T00:00:00.000000+00:00"
    pull_runs([Run("c", [sent], created_at="not a time")], here)
    assert last_use(record) == "2101-01-01T00:00:00.000000+00:00"


def test_runs_without_a_record_are_counted_and_summaries_are_not(sent: Record, here: Store) -> None:
    other = Record("selection-abc:v0", {}, type="selection")
    summary = Run("leaderboard-1", tags=["leaderboard"])
    pulled = pull_runs([Run("old"), Run("older", [other]), summary, Run("a", [sent])], here)
    assert (pulled.fetched, pulled.without_record) == (1, 2)
    assert "2 runs have none" in str(pulled)


def test_a_bundle_holds_what_the_run_links_to_and_no_more(made: Store) -> None:
    put(made, "random")
    run = next(one for one in made.artifacts("runs") if one.manifest["labels"]["selector"] == "nait")
    places = bundle(made, {**run.manifest["links"], "run": run.address})
    assert all(is_place(place) for place in places)
    named = {run.address, *(run.manifest["links"][link] for kind, link in PARTS.items()
                            if link in run.manifest["links"])}  # fmt: skip
    assert {place.split("/")[1] for place in places} == named


@pytest.mark.parametrize(
    "place",
    [
        "../../etc/passwd", f"runs/../{AT}/manifest.json", f"/runs/{AT}/manifest.json", f"runs/{AT}/../manifest.json",
        f"passes/{AT}/manifest.json", f"runs/{AT}/model.pkl", f"runs/{AT}/a/manifest.json", "runs/../manifest.json",
        f"runs/{AT.upper()}/manifest.json", f"runs/{AT}/.json", f"runs\\{AT}\\manifest.json", f"runs/{AT}/a.json\n",
    ],
)  # fmt: skip
def test_only_places_of_a_store_are_fetched(place: str, sent: Record, here: Store) -> None:
    sent.manifest.entries[place] = SimpleNamespace(path=place, size=1, ref=None)
    pulled = pull_runs([Run("hostile", [sent])], here)
    assert (pulled.fetched, sent.downloads) == (0, 0)
    assert "hostile: " in pulled.refused[0]
    assert not here.root.exists()


@pytest.mark.parametrize("change", [{"ref": "file:///etc/passwd"}, {"size": None}])
def test_a_reference_or_a_file_of_unknown_size_is_refused(
    change: dict[str, str | None], sent: Record, here: Store
) -> None:
    place, entry = sent.manifest.entries.popitem()
    sent.manifest.entries[place] = SimpleNamespace(
        **{"path": place, "size": entry.size, "ref": None} | change
    )
    assert len(pull_runs([Run("a", [sent])], here).refused) == 1
    assert sent.downloads == 0


@pytest.mark.parametrize("kind", ["runs", "evaluations"])
def test_a_manifest_of_another_key_is_refused_and_the_run_is_not_there(
    kind: str, made: Store, sent: Record, here: Store
) -> None:
    (artifact,) = made.artifacts(kind)
    manifest = read_json(artifact.path / "manifest.json")
    write_json(artifact.path / "manifest.json", manifest | {"key": {**manifest["key"], "seed": 99}})
    pulled = pull_runs([Run("a", [Record(sent.name, sent.files)])], here)
    assert "the manifest of another artifact" in pulled.refused[0]
    assert here.artifacts("runs") == []


@pytest.mark.parametrize("kind", ["runs", "scores", "selections", "evaluations"])
def test_a_record_that_lacks_an_artifact_is_refused(kind: str, sent: Record, here: Store) -> None:
    rest = {place: file for place, file in sent.files.items() if not place.startswith(kind)}
    pulled = pull_runs([Run("a", [Record(sent.name, rest)])], here)
    assert len(pulled.refused) == 1
    assert files(here) == {}


def test_a_file_that_is_not_as_long_as_stated_is_refused(sent: Record, here: Store) -> None:
    place = next(place for place in sent.files if place.startswith("runs/"))
    sent.files[place].write_text(json.dumps({"links": {}}))
    assert "expected" in pull_runs([Run("a", [sent])], here).refused[0]
    assert list(here.root.iterdir()) == []


def test_an_artifact_that_is_not_a_record_is_refused(sent: Record, here: Store) -> None:
    sent.name = "record-latest:v3"
    assert "not a record's name" in pull_runs([Run("a", [sent])], here).refused[0]


def test_only_finished_runs_and_one_group_are_asked_for(
    sent: Record, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api("team/nait", [Run("a", [sent])])
    serve(monkeypatch, api)
    pull("team/nait", here)
    pull("team/nait", here, group="study")
    assert api.asked == [{"state": "finished"}, {"state": "finished", "group": "study"}]


def test_a_project_without_a_record_is_an_error(here: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, Api("team/nait", [Run("old")]))
    with pytest.raises(NaitError, match=r"team/nait: no record to fetch.* 1 runs have none"):
        pull("team/nait", here)


def test_a_project_that_is_not_there_is_an_error(here: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, Api("team/nait"))
    with pytest.raises(NaitError, match=r"team/other: W&B refuses the request .Could not find project"):
        pull("team/other", here)


def test_an_invalid_project_name_is_an_error() -> None:
    with pytest.raises(NaitError, match="Write it as ENTITY/PROJECT"), public_api("nait"):
        raise AssertionError


def test_without_a_key_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "login", lambda **_: False)
    monkeypatch.setattr(wandb, "Api", lambda: pytest.fail("asked"))
    with pytest.raises(NaitError, match="wandb login"), public_api("team/nait"):
        raise AssertionError


def test_without_wandb_the_mend_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(NaitError, match="pip install wandb"), public_api("team/nait"):
        raise AssertionError
