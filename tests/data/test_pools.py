"""Laws of pools and targets: the examples of a file's rows, and the errors for invalid rows."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nait.core.dataset.examples import Target
from nait.core.errors import ConfigError, DataError, NaitError
from nait.data.pools import no_targets, read_hub_pool, read_pool, read_target, read_targets

ROWS = [{"instruction": f"Add {i} and {i}.", "output": str(2 * i), "subtask": "sum"} for i in range(6)]


def save(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@settings(max_examples=25, deadline=None)
@given(
    numbers=st.lists(st.integers(0, 5), min_size=1, max_size=12), seed=st.integers(0, 99), named=st.booleans()
)
def test_the_order_of_rows_in_the_file_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], seed: int, named: bool
) -> None:
    folder = tmp_path_factory.mktemp("pools")
    rows: list[dict[str, Any]] = [ROWS[number] for number in numbers]
    if named:
        rows = [{**row, "id": place} for place, row in enumerate(rows)]
    shuffled = random.Random(seed).sample(rows, len(rows))
    pool, other = read_pool(save(folder / "a.jsonl", rows)), read_pool(save(folder / "b.jsonl", shuffled))
    assert pool.ids == other.ids
    assert pool.fingerprint == other.fingerprint


@given(numbers=st.lists(st.integers(0, 5), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_a_pools_lines_are_the_rows_of_its_examples(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int]
) -> None:
    rows = [ROWS[number] for number in numbers]
    pool = read_pool(save(tmp_path_factory.mktemp("pools") / "a.jsonl", rows), duplicates="keep")
    assert pool.source is not None
    lines = [json.loads(line) for line in pool.source.lines([example.row for example in pool.examples])]
    assert [line["output"] for line in lines] == [example.turns[0].answer for example in pool.examples]
    assert pool.duplicates == len(numbers) - len(set(numbers))


def test_subtasks_and_the_files_name_reach_the_pool(tmp_path: Path) -> None:
    pool = read_pool(save(tmp_path / "sums.v2.jsonl", ROWS))
    assert pool.name == "sums.v2"
    assert {example.subtask for example in pool.examples} == {"sum"}
    assert read_pool(tmp_path / "sums.v2.jsonl", name="mine").name == "mine"


def test_the_users_ids_are_kept_as_text(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jsonl", [{**row, "id": i, "key": f"k{i}"} for i, row in enumerate(ROWS)])
    assert read_pool(path).ids == ("0", "1", "2", "3", "4", "5")
    assert read_pool(path, id_column="key").ids == ("k0", "k1", "k2", "k3", "k4", "k5")
    plain = read_pool(save(tmp_path / "b.jsonl", ROWS))
    assert read_pool(path, id_column=None).ids == plain.ids


def test_a_limit_takes_the_first_rows_of_the_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jsonl", ROWS)
    assert sorted(example.row for example in read_pool(path, limit=2).examples) == [0, 1]
    assert len(read_pool(path, limit=99)) == len(ROWS)


def test_rows_left_out_are_counted_by_reason(tmp_path: Path) -> None:
    bad: list[dict[str, Any]] = [
        {"instruction": "a"},
        {"instruction": "b", "output": None},
        {"instruction": "c", "output": 3},
    ]
    path = save(tmp_path / "a.jsonl", [*ROWS, *bad])
    path.write_text(path.read_text() + "{broken\n")
    pool = read_pool(path, on_bad="skip")
    assert len(pool) == len(ROWS)
    assert pool.skipped == {
        "'output' is missing": 2,
        "'output' is a number, not text": 1,
        "the row is not JSON": 1,
    }


def test_a_bad_first_row_can_be_left_out_too(tmp_path: Path) -> None:
    pool = read_pool(save(tmp_path / "a.jsonl", [{"note": "hello"}, *ROWS]), on_bad="skip")
    assert (len(pool), pool.skipped) == (len(ROWS), {"'instruction' is missing": 1})
    assert min(example.row for example in pool.examples) == 1


def test_a_pool_without_rows_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no row is left after skipping 2 rows \(the row fits no format\)"):
        read_pool(save(tmp_path / "a.jsonl", [{"q": "a"}, {"q": "b"}]), on_bad="skip")
    with pytest.raises(DataError, match=r"a.jsonl: there is no row"):
        read_pool(save(tmp_path / "a.jsonl", []))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"instruction": "a"},
            r"a.jsonl line 7, field 'output': is missing. Give every row a text in this field, or set",
        ),
        (
            {"instruction": "a", "output": "\ud83d"},
            r"line 7, field 'output': holds an unpaired surrogate. Correct",
        ),
        ({**ROWS[0], "id": None}, r"line 7, field 'id': is missing. Give every row a unique id"),
        ({**ROWS[0], "id": ""}, r"line 7, field 'id': is missing"),
        ({**ROWS[0], "id": float("nan")}, r"line 7, field 'id': is missing"),
        ({**ROWS[0], "id": [1]}, r"line 7, field 'id': is a list, neither text nor a number. Give"),
        ({**ROWS[0], "id": True}, r"line 7, field 'id': is true or false"),
        ({**ROWS[0], "id": "\udc00"}, r"line 7, field 'id': holds an unpaired surrogate"),
    ],
)
def test_a_bad_row_names_file_line_field_and_mend(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    path = save(tmp_path / "a.jsonl", [*({**good, "id": i} for i, good in enumerate(ROWS)), row])
    with pytest.raises(DataError, match=message) as caught:
        read_pool(path, id_column="id")
    assert str(caught.value).endswith("or set data.on_bad=skip.")
    with pytest.raises(DataError, match=r"or set target.on_bad=skip.$"):
        read_target(path, id_column="id")


def test_an_id_used_twice_is_an_error(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jsonl", [{**ROWS[0], "id": "x"}, {**ROWS[1], "id": "x"}])
    with pytest.raises(
        DataError,
        match=r"a.jsonl line 2, field 'id': is used by another row. 'x' is the id of .*a.jsonl line 1",
    ):
        read_pool(path)
    pool = read_pool(path, on_bad="skip")
    assert ([one.row for one in pool.examples], pool.skipped) == ([0], {"'id' is used by another row": 1})
    assert len(read_pool(path, id_column=None)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_bad": "skipp"}, r"data.on_bad: 'skipp' is not a choice. Did you mean 'skip'\?"),
        ({"limit": 0}, r"data.limit: '0' is not a number of rows. Give a whole number"),
        ({"limit": "ten"}, r"data.limit: 'ten' is not a number of rows"),
        (
            {"id_column": "subtaks"},
            r"data.id_column: there is no column 'subtaks' .* Did you mean 'subtask'\?",
        ),
        ({"format": "sharegtp"}, r"data.format: Unknown format 'sharegtp'. Did you mean 'sharegpt'\?"),
    ],
)
def test_a_bad_key_names_itself_and_the_mend(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_pool(save(tmp_path / "a.jsonl", ROWS), **options)


def test_a_target_has_the_same_rows_as_a_pool(tmp_path: Path) -> None:
    path = save(tmp_path / "sums.jsonl", ROWS)
    (target,) = read_target(path, limit=4)
    assert (target.name, len(target)) == ("sums", 4)
    assert target.fingerprint == read_pool(path, limit=4).fingerprint


def test_targets_keep_the_names_and_the_order_they_are_given_in(tmp_path: Path) -> None:
    path = save(tmp_path / "sums.jsonl", ROWS)
    assert [target.name for target in read_targets({"z": path, "a": str(path)})] == ["z", "a"]
    assert no_targets() == []
    with pytest.raises(ConfigError, match=r"target.paths: there is no file. Name at least one"):
        read_targets({})


def test_capabilities_choose_among_the_files_and_the_others_are_not_opened(tmp_path: Path) -> None:
    path = save(tmp_path / "sums.jsonl", ROWS)
    paths = {"z": path, "a": path, "absent": tmp_path / "absent.jsonl"}
    assert [target.name for target in read_targets(paths, capabilities=["a", "z"])] == ["a", "z"]
    assert [target.name for target in read_targets(paths, capabilities="z")] == ["z"]
    with pytest.raises(
        ConfigError, match=r"target.capabilities: there is no 'abset'.*Did you mean 'absent'\?"
    ):
        read_targets(paths, capabilities=["abset"])


def test_a_draw_depends_on_its_seed_and_the_rows_and_a_smaller_one_is_part_of_a_larger(
    tmp_path: Path,
) -> None:
    rows = [{"instruction": f"Add {i}.", "output": str(i)} for i in range(40)]
    path, turned = save(tmp_path / "a.jsonl", rows), save(tmp_path / "b.jsonl", rows[::-1])

    def drawn(path: Path, count: int, seed: int) -> Target:
        (target,) = read_target(path, name="sums", rows=count, seed=seed)
        return target

    assert drawn(path, 8, 0) == replace(drawn(turned, 8, 0), examples=drawn(path, 8, 0).examples)
    small, large = ({one.id for one in drawn(path, count, 3).examples} for count in (8, 16))
    assert (len(small), len(large)) == (8, 16)
    assert small < large
    assert len({drawn(path, 8, seed).fingerprint for seed in range(5)}) == 5
    assert drawn(path, 40, 1) == read_target(path, name="sums")[0]
    assert read_targets({"sums": path}, rows=8, seed=3) == [drawn(path, 8, 3)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (7, r"target.rows: 7 rows are requested, but a has 6. Set target.rows=6 or less."),
        (0, "'0' is not a number of rows"),
    ],
)
def test_a_draw_of_more_rows_than_there_are_is_an_error(tmp_path: Path, rows: int, message: str) -> None:
    with pytest.raises(NaitError, match=message):
        read_target(save(tmp_path / "a.jsonl", ROWS), rows=rows)


def test_alpaca_is_read_whole(shared: Callable[[str], Path]) -> None:
    pool = read_pool(shared("data/pools/alpaca_52k.parquet"))
    assert len(pool) == 52_002
    assert sum(not example.answered for example in pool.examples) == 28
    assert sum(bool(example.turns[0].input) for example in pool.examples) == 20_679
    assert (pool.duplicates, pool.skipped) == (0, {})


def test_gsm8k_is_read_from_a_mirror_of_the_hub(shared: Callable[[str], Path]) -> None:
    pool = read_hub_pool("openai/gsm8k", subset="main", split="test", mirror=shared("data/hub"))
    assert (pool.name, len(pool)) == ("gsm8k", 1_319)
    assert all("####" in example.turns[0].answer for example in pool.examples)
    assert len(read_hub_pool("openai/gsm8k", mirror=shared("data/hub"), limit=64)) == 64
