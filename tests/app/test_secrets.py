"""Secrets given by the environment or by an override reach no file and no output."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.app.commands import Run

SECRET, URL = "s3cretvalue-0123456789", "http://me:s3cretvalue-0123456789@localhost:1/v1"


@pytest.mark.parametrize(
    ("flags", "tracking"),
    [([], "files"), (["-m"], "files"), pytest.param([], "wandb", marks=pytest.mark.slow)],
)
def test_no_file_and_no_output_has_a_secret(
    flags: list[str], tracking: str, nait: Run, tmp_path: Path
) -> None:
    given = [
        "data=nano_small", "target=nano", "model=nano", "selector=random", "stages=[select]",
        f"tracking={tracking}",
        "traits=none", "contamination=none", f"+hydra.job.env_set.MY_VALUE={SECRET}", f"eval.endpoint.url={URL}",
    ]  # fmt: skip
    done = nait(*given, *flags, bare=True)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"hydra.yaml", "overrides.yaml", "run.json", "config.yaml"} <= {path.name for path in files}
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert any(b"***" in path.read_bytes() for path in files)
    assert "MY_VALUE" not in os.environ


def test_a_refused_word_is_shown_without_its_secret(nait: Run) -> None:
    done = nait(f"hydra.job.env_set.A={SECRET}", "no.such.key=1", f"data.path={URL}/x.jsonl", bare=True)
    assert done.returncode == 2
    assert SECRET not in done.stdout + done.stderr
