"""Laws of duplicates: rows with the same content are counted always, and never both selected unless asked."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.duplicates import IDENTICAL, describe_duplicates
from nait.core.errors import ConfigError, DataError
from nait.data.pools import read_hub_pool, read_pool, read_target, read_targets
from nait.nano.pools import nano_pool

ROWS = [{"instruction": f"Add {n}", "output": f"{n}"} for n in (1, 2, 1, 3, 1, 2)]
NAMED = [{"id": f"r{place}", **row} for place, row in enumerate(ROWS)]


def save(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("rows", [ROWS, NAMED], ids=["no id", "id column"])
def test_one_of_each_is_kept_and_the_rest_counted(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    pool = read_pool(save(tmp_path / "p.jsonl", rows))
    assert sorted(one.turns[0].answer for one in pool.examples) == ["1", "2", "3"]
    assert sorted(one.row for one in pool.examples) == [0, 1, 3]
    assert (pool.duplicates, pool.skipped) == (3, {IDENTICAL: 3})
    assert describe_duplicates(pool) == ["Pool p: 3 rows are identical to another: one of each is kept."]


@pytest.mark.parametrize("rows", [ROWS, NAMED], ids=["no id", "id column"])
def test_all_are_kept_and_counted_where_asked(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    pool = read_pool(save(tmp_path / "p.jsonl", rows), duplicates="keep")
    assert (len(pool), pool.duplicates, pool.skipped) == (6, 3, {})
    assert describe_duplicates(pool) == ["Pool p: 3 rows are identical to another: all can be selected."]


@pytest.mark.parametrize("rows", [ROWS, NAMED], ids=["no id", "id column"])
def test_an_error_names_file_and_both_rows(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(DataError, match=r"p\.jsonl line 3.*identical to .*p\.jsonl line 1; 3 rows"):
        read_pool(save(tmp_path / "p.jsonl", rows), duplicates="error")


def test_the_order_of_the_file_changes_nothing(tmp_path: Path) -> None:
    shuffled = random.Random(0).sample(NAMED, len(NAMED))
    one, other = (read_pool(save(tmp_path / "p.jsonl", rows)) for rows in (NAMED, shuffled))
    assert one.fingerprint == other.fingerprint


def test_a_pool_without_duplicates_keeps_its_address(tmp_path: Path) -> None:
    file = save(tmp_path / "p.jsonl", NAMED[:2])
    prints = {read_pool(file, duplicates=rule).fingerprint for rule in ("keep", "first", "error")}
    assert len(prints) == 1


def test_rows_that_differ_in_white_space_are_encoded_differently_and_kept(tmp_path: Path) -> None:
    rows = [{"instruction": "Add  1", "output": "1"}, {"instruction": "Add 1", "output": "1"}]
    assert read_pool(save(tmp_path / "p.jsonl", rows)).duplicates == 0


def test_a_reference_set_keeps_its_duplicates_counts_them_and_leaves_them_out_where_asked(
    tmp_path: Path,
) -> None:
    file = save(tmp_path / "math.jsonl", NAMED)
    (kept,) = read_target(file)
    assert (len(kept), kept.duplicates) == (6, 3)
    assert "each counts again" in describe_duplicates(kept)[0]
    for read in (read_target(file, duplicates="first"), read_targets({"math": file}, duplicates="first")):
        assert (len(read[0]), read[0].skipped) == (3, {IDENTICAL: 3})
    (drawn,) = read_target(file, rows=1)
    assert drawn.duplicates == 0


def test_a_hub_pool_has_the_same_rule(tmp_path: Path) -> None:
    folder = tmp_path / "owner" / "name"
    folder.mkdir(parents=True)
    save(folder / "train.jsonl", NAMED)
    listed = "---\nconfigs:\n- config_name: default\n  data_files: [{split: train, path: train.jsonl}]\n---\n"
    (folder / "README.md").write_text(listed)
    assert read_hub_pool("owner/name", mirror=tmp_path).skipped == {IDENTICAL: 3}


def test_the_world_draws_no_row_twice_below_5000_and_leaves_out_what_it_does() -> None:
    assert nano_pool(5000).duplicates == 0
    large = nano_pool(12000)
    assert large.duplicates > 0
    assert len(large) == 12000 - large.duplicates
    assert len({one.turns for one in large.examples}) == len(large)


@pytest.mark.parametrize("read", [lambda file: read_pool(file, duplicates="frist"),
                                  lambda file: read_target(file, duplicates="frist")])  # fmt: skip
def test_an_unknown_rule_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    with pytest.raises(ConfigError, match=r"duplicates.*'first'"):
        read(save(tmp_path / "p.jsonl", NAMED))
