"""The leaderboard of the repository is what its rows say."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

from nait.cli.subcommands.publish_command import COMMANDS
from nait.sweeps.reports.submitted_rows import TABLE, read_rows, tables_of

ROOT = Path(__file__).resolve().parents[2]
BOARD = ROOT / "community" / "leaderboard"


def test_the_table_is_made_from_the_rows() -> None:
    assert (BOARD / TABLE).read_text(encoding="utf-8") == tables_of(read_rows(BOARD))


def test_each_command_of_a_wing_is_a_function() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for place in project["entry-points"][COMMANDS].values():
        module, _, name = place.partition(":")
        assert callable(getattr(import_module(module), name))
