"""Laws of discarding: one artifact of ours, with --yes, and no other folder; no message names another fix."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nait.core.errors import StoreError
from nait.store import Artifact, Store, read_json, repair_advice
from nait.store.upkeep.discard import main

ROOT = Path(__file__).resolve().parents[2]


def made(root: Path, *, seed: int = 0) -> Artifact:
    def write(part: Path) -> dict[str, int]:
        (part / "values.txt").write_text("1")
        return {"rows": 1}

    return Store(root).produce("scores", {"seed": seed}, write)


def test_without_yes_nothing_is_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = made(tmp_path)
    assert main([str(one.path)]) == 0
    assert "Would remove" in capsys.readouterr().out
    assert Store(tmp_path).find("scores", {"seed": 0}) is not None


def test_with_yes_one_artifact_is_removed_and_can_be_computed_again(tmp_path: Path) -> None:
    one, other = made(tmp_path, seed=0), made(tmp_path, seed=1)
    assert main([str(one.path), "--yes"]) == 0
    assert not one.path.exists()
    assert other.path.is_dir()
    assert made(tmp_path).fresh


def folders(root: Path) -> dict[str, Path]:
    """Folders that are not a whole artifact, by what they are."""
    one = made(root / "store")
    other = one.path.parent / ("0" * 32)
    bare = root / "models" / ("a" * 32)
    foreign = root / "cache" / ("b" * 32)
    for folder in (other, bare, foreign):
        folder.mkdir(parents=True)
    (other / "manifest.json").write_text((one.path / "manifest.json").read_text())
    (foreign / "manifest.json").write_text("not json")
    link = root / "linked" / one.address
    link.parent.mkdir()
    link.symlink_to(one.path)
    return {
        "store": root / "store", "kind": one.path.parent, "inside": one.path / "values.txt", "bare": bare,
        "foreign": foreign, "other": other, "link": link, "absent": root / "none",
    }  # fmt: skip


@pytest.mark.parametrize("what", ["store", "kind", "inside", "bare", "foreign", "other", "link", "absent"])
def test_any_other_folder_is_refused(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = folders(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main([str(found[what]), "--yes"]) == 2
    assert "nothing was removed" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_the_fix_for_a_users_own_file_removes_nothing(tmp_path: Path) -> None:
    for path in (tmp_path / "model" / "config.json", tmp_path / "store" / "fingerprints.json"):
        path.parent.mkdir()
        path.write_text("{")
        with pytest.raises(StoreError, match="Check the file") as damaged:
            read_json(path)
        assert not re.search("elete|emove|discard", str(damaged.value))


def test_the_fix_for_a_file_deep_in_an_artifact_is_to_run_the_job_again(tmp_path: Path) -> None:
    one = made(tmp_path)
    assert "Run the job again" in repair_advice(one.path / "epochs" / "1" / "adam.safetensors")


def test_no_message_advises_deleting_a_folder() -> None:
    for room in ("nait", "baselines", "eval", "sweeps"):
        for file in (ROOT / room).rglob("*.py"):
            found = re.findall(r"fix=.*\b[Dd]elete\b.*", file.read_text(encoding="utf-8"))
            assert not found, f"{file}: {found}"
