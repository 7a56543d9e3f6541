"""`nait.select`: one call, whatever holds the rows, and the same selection as on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import nait
from nait.core.errors import ConfigError
from tests.app.commands import make_home

FEW = ["model.max_length=128", "template=plain", "engine.progress=false"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def selected(home: Path) -> nait.Selected:
    """A selection from files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        return nait.select("pool.jsonl", like="refs.jsonl", model="model", top="20%", overrides=FEW)


def test_the_selection_has_rows_scores_and_diagnostics(selected: nait.Selected, home: Path) -> None:
    rows = [json.loads(line) for line in (home / "pool.jsonl").read_text().splitlines()]
    assert len(selected) == len(selected.rows) == 8
    best = selected.scores[selected.scores.selected].sort_values("rank")
    assert selected.rows == [rows[row] for row in best.row]
    assert list(selected.scores.columns) == [
        "id",
        "row",
        "score:refs",
        "rank",
        "selected",
        "answer_tokens",
        "reason",
    ]
    assert selected.diagnostics["unit"] == "1"
    assert set(selected.diagnostics["length_correlation"]) == {"refs"}
    assert "Selected 8 of 40 rows" in str(selected)


def test_rows_in_memory_select_what_their_file_selects(
    selected: nait.Selected, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    pool, refs = (
        [json.loads(line) for line in (home / f"{name}.jsonl").read_text().splitlines()]
        for name in ("pool", "refs")
    )
    again = nait.select(pool, like=pd.DataFrame(refs), model=Path("model"), rows=8, overrides=FEW)
    assert again.rows == selected.rows
    saved = again.save(home / "saved")
    assert [json.loads(line) for line in saved.read_text().splitlines()] == selected.rows
    assert (home / "saved.scores.parquet").is_file()


def test_an_own_hydra_application_is_left_as_it_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    with initialize_config_module("nait.conf", version_base="1.3"):
        mine = GlobalHydra.instance().hydra
        config = compose("run", overrides=["hydra.job.name=mine"], return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        assert type(nait.order("lowest")).__name__ == "Lowest"
        assert GlobalHydra.instance().hydra is mine
        assert HydraConfig.get().job.name == "mine"
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None


def test_parts_are_built_by_the_names_of_their_options() -> None:
    assert type(nait.scorer("rds", "selector.reduce=max")).__name__ == "Rds"
    assert nait.budget(rows=5).label == "5 rows"
    assert nait.open_model("nano").max_length == 256
    with pytest.raises(ConfigError, match="Did you mean"):
        nait.scorer("nait_contrasts")


def test_errors_say_what_to_give() -> None:
    with pytest.raises(nait.NaitError, match="no model is named"):
        nait.select([{"instruction": "a", "output": "b"}], like=[{"instruction": "a", "output": "b"}])
    with pytest.raises(nait.NaitError, match="Give a path, a list of dicts, a pandas frame"):
        nait.read_pool(3)  # type: ignore[arg-type]


def test_every_public_name_exists_is_typed_and_documented() -> None:
    for name in nait.__all__:
        assert getattr(nait, name) is not None
        if name != "__version__":
            assert getattr(nait, name).__doc__, name
    assert set(nait.__all__) <= set(dir(nait))
    with pytest.raises(AttributeError, match="no attribute 'selekt'"):
        nait.selekt  # noqa: B018


def test_import_is_quick() -> None:
    code = (
        "import sys, nait; print(sorted({'torch', 'hydra', 'pandas', 'numpy', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
