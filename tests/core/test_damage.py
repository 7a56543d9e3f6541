"""A damaged artifact is an error that names it and the command that removes it, whichever file is damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.core.errors import StoreError
from nait.signals.token_store import read_tokens
from nait.stages.artifacts.score_files import read_layers, read_ranking, read_scores, read_selection
from nait.stages.checks import detect_contamination, rendered_rows
from nait.stages.describe_pool import read_traits
from nait.store import Artifact, Store
from nait.sweeps.stored_runs.selections import read_chosen
from tests.families import pool

READERS: list[Callable[[Artifact], Any]] = [
    read_scores, read_layers, read_ranking, lambda one: read_selection(one, pool()), read_traits,
    detect_contamination.read_hits, rendered_rows._read, read_chosen, lambda one: read_tokens(one.path),
]  # fmt: skip
FILES = (
    "scores.parquet", "layers.parquet", detect_contamination.HITS, rendered_rows.FAULTS, "traits.parquet",
    "input_ids.npy", "answer.npy", "starts.npy", "truncated.npy",
)  # fmt: skip


def artifact(root: Path, content: bytes | None) -> Artifact:
    def write(part: Path) -> dict[str, Any]:
        for name in FILES if content is not None else ():
            (part / name).write_bytes(content or b"")
        return {"layer_means": {}}

    return Store(root).produce("things", {"of": "a test"}, write)


@pytest.mark.parametrize("content", [b"", b"PAR1 cut off", b"\x93NUMPY\x01", b"{", b"\xff"])
@pytest.mark.parametrize("read", READERS)
def test_a_damaged_file_is_named_with_the_command_that_removes_its_artifact(
    read: Callable[[Artifact], Any], content: bytes, tmp_path: Path
) -> None:
    made = artifact(tmp_path, content)
    with pytest.raises(StoreError, match="cannot be read") as raised:
        read(made)
    assert str(made.path) in raised.value.where
    assert f"nait.store.discard {made.path} --yes" in raised.value.fix


@pytest.mark.parametrize("content", ["[]", "{}", "3", "null"])
def test_a_manifest_of_no_artifact_is_named(content: str, tmp_path: Path) -> None:
    made = artifact(tmp_path, None)
    (made.path / "manifest.json").write_text(content)
    for ask in (
        lambda: Store(tmp_path).find("things", made.address),
        lambda: Store(tmp_path).artifacts("things"),
    ):
        with pytest.raises(StoreError, match="is not an artifact's manifest") as raised:
            ask()
        assert "nait.store.discard" in raised.value.fix
