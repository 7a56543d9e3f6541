"""Scores from a file: joined by id, row number or text; counted, named, and keyed by the file's bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from nait.baselines.controls.random import LengthMatched
from nait.baselines.file_scores import ABSENT, EMPTY, FileScores
from nait.baselines.shared.score_rows import read_score_rows
from nait.core.contracts import content_of
from nait.core.dataset.examples import Example, Pool, Turn, gather
from nait.core.errors import ConfigError, DataError
from nait.core.ranking.budgets import Count
from nait.core.ranking.orders import BestRank, Highest
from nait.core.ranking.score_table import ScoreTable
from nait.data.pools import read_pool
from nait.stages.artifacts.score_files import write_parquet, write_scores
from nait.stages.select import Selector, select
from tests.baselines.conftest import Open

Rows = Sequence[Mapping[str, Any]]


def pool(rows: int = 30) -> Pool:
    """A pool whose ids are in the reverse order of its file."""
    return gather("p", [Example(f"r{99 - k}", (Turn(f"Do {k}", f"did {k}"),), row=k) for k in range(rows)])


POOL = pool()
BY_ROW = {example.row: example.id for example in POOL.examples}


def written(folder: Path, rows: Rows, kind: str = "jsonl") -> Path:
    path = folder / f"scores.{kind}"
    names = list(dict.fromkeys(name for row in rows for name in row))
    if kind == "parquet":
        write_parquet(path, {name: [row.get(name) for row in rows] for name in names})
    elif kind == "csv":
        cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
        path.write_text("".join(",".join(line) + "\n" for line in cells))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def scored(path: Path, **options: Any) -> ScoreTable:
    return FileScores(str(path), **options).score(POOL, [], None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("join", ["id", "row", "text"])
def test_each_row_has_the_score_that_the_file_gives_it(tmp_path: Path, kind: str, join: str) -> None:
    keys: dict[str, Any] = {
        "id": lambda k: {"id": BY_ROW[k]},
        "row": lambda k: {"row": k},
        "text": lambda k: {"instruction": f"Do {k}", "output": f"did {k}"},
    }
    path = written(tmp_path, [{**keys[join](k), "score": k / 2} for k in reversed(range(30))], kind)
    table = scored(path)  # found by itself
    assert table.targets == ("any",)
    assert table.values[:, 0].tolist() == [example.row / 2 for example in POOL.examples]
    assert not table.warnings
    assert join in table.definition
    assert np.array_equal(scored(path, join=join).values, table.values)


def test_the_lowest_score_comes_first_when_it_is_best(tmp_path: Path) -> None:
    path = written(tmp_path, [{"row": k, "place": k} for k in range(30)])
    table = scored(path, columns="place", direction="lowest")
    assert [POOL.examples[row].row for row in Highest()(table)] == list(range(30))


def test_several_columns_are_several_columns(tmp_path: Path) -> None:
    rows = [{"id": example.id, "depth": example.row, "taste": -example.row} for example in POOL.examples]
    table = scored(written(tmp_path, rows))
    assert table.targets == ("depth", "taste")
    assert {POOL.examples[row].row for row in BestRank()(table)[:2]} == {0, 29}
    assert scored(written(tmp_path, rows), columns=["taste"]).targets == ("any",)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_column_that_could_be_the_key_does_not_count_as_a_score(tmp_path: Path, kind: str) -> None:
    rows = [{"id": example.id, "row": example.row, "taste": -example.row} for example in POOL.examples]
    table = scored(written(tmp_path, rows, kind))
    assert table.targets == ("any",)
    assert table.values[:, 0].tolist() == [-example.row for example in POOL.examples]
    numbered = [{"id": 7 * k, "row": k, "taste": -k} for k in range(30)]
    assert np.array_equal(scored(written(tmp_path, numbered, kind), join="row").values, table.values)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_index_of_a_pandas_frame_does_not_count_as_a_score(tmp_path: Path, kind: str) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {"id": [one.id for one in POOL.examples], "taste": [-one.row for one in POOL.examples]}
    )
    frame.index = frame.index[::-1]
    path = tmp_path / f"scores.{kind}"
    frame.to_csv(path) if kind == "csv" else frame.to_parquet(path)
    for _ in range(2):
        table = scored(path)
        assert table.targets == ("any",)
        assert table.values[:, 0].tolist() == [-example.row for example in POOL.examples]
        if kind == "csv":  # read without index_col=0, and written again
            pd.read_csv(path).to_csv(path)


def test_whole_numbers_that_a_tool_wrote_as_fractions_are_ids(tmp_path: Path) -> None:
    numbered = gather("p", [Example(str(k), (Turn(f"Do {k}", f"did {k}"),), row=k) for k in range(9)])
    for kind in ("jsonl", "csv", "parquet"):
        path = written(tmp_path, [{"id": float(k), "score": k / 2} for k in range(9)], kind)
        table = FileScores(str(path)).score(numbered, [], None)  # type: ignore[arg-type]
        assert table.values[:, 0].tolist() == [int(key) / 2 for key in table.ids]
        assert not table.warnings
    other = gather("p", [Example(key, (Turn("Do", key),), row=k) for k, key in enumerate(("1", "1.0"))])
    path = written(tmp_path, [{"id": "1.0", "score": 5}, {"id": "1", "score": 6}])
    table = FileScores(str(path)).score(other, [], None)  # type: ignore[arg-type]
    assert dict(zip(table.ids, table.values[:, 0].tolist(), strict=True)) == {"1": 6.0, "1.0": 5.0}


@pytest.mark.parametrize(
    ("join", "shown"),
    [("id", "x0, x1, x2; the pool has r70, r71, r72"), ("row", "900, 901, 902; the pool has ")],
)
def test_a_file_of_another_pool_is_an_error_that_shows_both_keys(
    tmp_path: Path, join: str, shown: str
) -> None:
    path = written(tmp_path, [{"id": f"x{k}", "row": 900 + k, "score": k} for k in range(9)])
    with pytest.raises(DataError, match=rf"joined by {join}\): the file has {shown}.*selector.join"):
        scored(path, join=join)


def test_rows_are_chosen_by_equal_numbers(tmp_path: Path) -> None:
    rows = [{"row": k % 15, "turn": float(k // 15), "score": k} for k in range(30)]
    assert np.nanmin(scored(written(tmp_path, rows, "parquet"), only={"turn": 1}).values) == 15
    with pytest.raises(ConfigError, match="no row of"):
        scored(written(tmp_path, rows), only={"turn": True})


def test_a_key_without_its_kind_says_how_to_join(tmp_path: Path) -> None:
    path = written(tmp_path, [{"uid": example.id, "score": 1} for example in POOL.examples])
    with pytest.raises(ConfigError, match=r"selector.key: .* Set selector.join=id or selector.join=row"):
        scored(path, key="uid")
    assert scored(path, key="uid", join="id").eligible.all()


@pytest.mark.parametrize("name", ["rank", "Rank", "ranking"])
def test_a_rank_is_a_score_only_by_name_and_the_error_says_so(tmp_path: Path, name: str) -> None:
    """In a rank, 1 is usually best: read as a score, its worst rows would be selected."""
    path = written(tmp_path, [{"id": example.id, name: example.row} for example in POOL.examples])
    with pytest.raises(ConfigError) as caught:
        scored(path)
    assert str(caught.value) == (
        f"selector.columns: the file's columns of numbers are not read as scores unless you name one: {name}. "
        f"Set selector.columns={name}, and selector.direction=lowest if its lowest number is best, as in a rank."
    )
    table = scored(path, columns=name, direction="lowest")
    assert [POOL.examples[row].row for row in Highest()(table)] == list(range(30))
    assert not table.warnings
    (warning,) = scored(path, columns=name).warnings
    assert warning.startswith(f"Column '{name}': the highest number is selected first.")
    beside = written(tmp_path, [{"id": one.id, name: one.row, "taste": -one.row} for one in POOL.examples])
    assert scored(beside).values[:, 0].tolist() == [-one.row for one in POOL.examples]


def test_rows_without_a_score_are_counted_by_reason_and_the_first_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, [{"row": 3, "score": 1.5}, {"row": 4, "score": None}, {"row": 77, "score": 2}])
    table = scored(path)
    assert table.ineligible_counts() == {EMPTY: 1, ABSENT: 28}
    assert table.eligible.sum() == 1
    absent, empty, strange = table.warnings
    assert absent.startswith("28 rows of the pool have no score (not in the file of scores): ")
    assert absent.endswith(" and 8 more.")
    assert absent.count(", ") == 19
    assert BY_ROW[4] in empty
    assert "1 of the 3 rows of the file of scores match no row" in strange
    assert strange.endswith("(joined by row): 77.")


def test_rows_of_the_file_are_chosen_by_their_values(tmp_path: Path) -> None:
    rows = [
        {"row": k, "judge": name, "score": k * (1 if name == "a" else -1)} for k in range(30) for name in "ab"
    ]
    table = scored(written(tmp_path, rows), only={"judge": "b"})
    assert table.values[:, 0].tolist() == [-example.row for example in POOL.examples]
    with pytest.raises(DataError, match="has another score in"):
        scored(written(tmp_path, rows))
    with pytest.raises(ConfigError, match="no row of"):
        scored(written(tmp_path, rows), only={"judge": "c"})


def test_the_scores_of_a_run_are_read_as_they_were_written(tmp_path: Path) -> None:
    table = ScoreTable(POOL.ids, ("sums", "code"), np.random.default_rng(0).random((30, 2)), "", "")
    write_scores(tmp_path, table, np.arange(30))
    found = scored(tmp_path / "scores.parquet")
    assert found.targets == table.targets
    assert np.array_equal(found.values, table.values)


def test_other_bytes_are_another_content(tmp_path: Path) -> None:
    path = written(tmp_path, [{"row": 0, "score": 1}])
    before = content_of(FileScores(str(path)))
    assert content_of(FileScores(str(path))) == before
    written(tmp_path, [{"row": 0, "score": 2}])
    assert content_of(FileScores(str(path))) != before


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ({"row": 0, "score": "high"}, {}, "line 1: column 'score' holds 'high'"),
        ({"row": 0, "score": "inf"}, {}, "not a finite number"),
        ({"row": 0, "score": "12_3"}, {}, "holds '12_3', which is not a finite number"),
        ({"row": 0, "turn": "12_3"}, {}, "no column holds numbers"),
        ({"row": 1.5, "score": 1}, {}, "not a row number"),
        ({"row": "1_5", "score": 1}, {}, "not a row number"),
        ({"row": -1, "score": 1}, {}, "count from 0"),
        ({"id": "", "score": 1}, {}, "line 1: column 'id' holds no id"),
        ({"id": "r1", "score": 1}, {"columns": "scor"}, "selector.columns: there is no column 'scor'"),
        ({"id": "r1", "score": 1}, {"key": "idd"}, "Did you mean 'id'"),
        ({"id": "r1", "text": "x"}, {}, "no column holds numbers"),
        ({"id": "r1", "score": 1}, {"only": {"judge": "a"}}, "selector.only: there is no column 'judge'"),
        ({"id": "r1", "score": 1}, {"join": "text", "key": "id"}, "a join by text has no key"),
    ],
)
def test_a_file_that_does_not_fit_is_an_error_with_place_and_fix(
    tmp_path: Path, row: Mapping[str, Any], options: Mapping[str, Any], message: str
) -> None:
    with pytest.raises((ConfigError, DataError), match=message.replace("(", r"\(")):
        FileScores(str(written(tmp_path, [row])), **options).check([])


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize(
    "missing", ["", " ", "NA", "N/A", "<NA>", "#N/A", "null", "None", "nan", "NaN", "-nan", None]
)
def test_a_missing_score_is_a_row_without_one_in_every_kind_of_file(
    tmp_path: Path, kind: str, missing: str | None
) -> None:
    missing = "" if missing is None and kind == "csv" else missing
    rows = [{"row": k, "taste": missing if k == 4 else str(k)} for k in range(30)]
    for columns in (None, "taste"):
        table = scored(written(tmp_path, rows, kind), columns=columns)
        assert table.ineligible_counts() == {EMPTY: 1}
        assert dict(table.reasons) == {BY_ROW[4]: EMPTY}
        (warning,) = table.warnings
        assert warning == f"1 rows of the pool have no score ({EMPTY}): {BY_ROW[4]}."
        assert np.nansum(table.values) == sum(range(30)) - 4


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_column_of_numbers_with_another_cell_is_not_left_out_in_silence(tmp_path: Path, kind: str) -> None:
    """Beside another column of numbers it was: that one alone gave the scores."""
    rows = [
        {"row": k, "taste": "failed" if k == 4 else str(k), "note": "no" if k else "7", "size": str(-k)}
        for k in range(30)
    ]
    path = written(tmp_path, rows, kind)
    with pytest.raises(DataError, match=r"column 'taste' holds 'failed'.* selector\.columns=NAME"):
        scored(path)
    assert scored(path, columns="size").values.min() == -29


def test_true_and_false_do_not_count_as_scores_unless_named(tmp_path: Path) -> None:
    path = written(tmp_path, [{"row": k, "taste": -k, "code": k % 2 == 0} for k in range(30)])
    assert scored(path).values[:, 0].tolist() == [-example.row for example in POOL.examples]
    assert scored(path, columns="code").values.sum() == 15


def test_an_id_of_nan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text('{"id": NaN, "score": 1}\n')
    with pytest.raises(DataError, match="column 'id' holds no id"):
        scored(path)


def test_the_model_is_not_opened_and_the_stated_cost_is_kept(tmp_path: Path, opened: Open) -> None:
    path = written(tmp_path, [{"row": k, "score": k} for k in range(30)])
    table = FileScores(str(path), cost={"hours": 2, "money": 7.5}).score(POOL, [], opened())
    assert table.stated_cost == {"seconds": 7200.0, "money": 7.5}
    with pytest.raises(ConfigError, match=r"selector\.cost\.hours: -1"):
        FileScores(str(path), cost={"hours": -1})


def test_the_published_selections_of_alpaca_enter_by_row_number(shared: Callable[[str], Path]) -> None:
    path = shared("data/reference/alpaca_selections.parquet")
    alpaca = read_pool(shared("data/pools/alpaca_52k.parquet"))
    published = parquet.read_table(path).to_pylist()
    names = list(dict.fromkeys(row["selection"] for row in published))
    assert len(names) == 11
    for name in names:
        scorer = FileScores(
            str(path),
            join="row",
            key="alpaca_row",
            columns="rank",
            direction="lowest",
            only={"selection": name},
        )
        ranking = Highest()(scorer.score(alpaca, [], None))  # type: ignore[arg-type]
        wanted = [row["alpaca_row"] for row in published if row["selection"] == name]
        assert [alpaca.examples[row].row for row in ranking] == list(dict.fromkeys(wanted))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "r1", "score": %s}', "which is not a finite number"),
        ('{"row": %s, "score": 1}', "which is not a row number"),
        ('{"id": "r1", "other": %s}', "no column holds numbers"),
    ],
)
def test_a_whole_number_of_400_digits_is_refused(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(line % ("9" * 400) + "\n")
    with pytest.raises((DataError, ConfigError), match=message):
        scored(path)


@pytest.mark.parametrize(
    "options",
    [
        {"columns": []},
        {"columns": 3},
        {"columns": ["score", None]},
        {"key": ["id"]},
        {"only": ["id"]},
        {"cost": 3},
    ],
)
def test_an_option_of_another_type_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"selector.{next(iter(options))}"):
        FileScores("scores.jsonl", **options)


def test_columns_that_get_one_name_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, [{"id": "r99", "a": 1, "score:a": 2}])
    with pytest.raises(ConfigError, match="two columns have the name 'a'"):
        scored(path, columns=["a", "score:a"])


def test_names_of_a_file_with_controls_are_shown_as_escapes(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    rows = [
        '{"id": "a\\n10:00:00 W\\ud800", "score:\\u001b[2J": 1, "score:b": 2}',
        '{"id": "r99", "score:b": 3}',
    ]
    path.write_text("\n".join(rows) + "\n")
    table = scored(path)
    assert table.targets == ("\\x1b[2J", "b")
    assert "a 10:00:00 W\\ud800" in table.warnings[1]


def test_scores_joined_by_row_are_computed_again_for_another_order_of_the_file(
    tmp_path: Path, opened: Open
) -> None:
    path = written(tmp_path, [{"row": k, "score": k} for k in range(30)])
    x, turned = opened(), gather("p", [replace(one, row=29 - one.row) for one in POOL.examples])
    assert turned.fingerprint == POOL.fingerprint
    for join, again in (("row", True), ("id", False)):
        scorer: Any = FileScores(str(path), join=join, key="row" if join == "id" else None)
        assert scorer.by_row == again
    best = []
    for scorer in (FileScores(str(path)), LengthMatched(FileScores(str(path)))):
        selector = Selector(scorer, Highest(), Count(5), {"selector": 1, "order": 1, "budget": 1})
        chosen = [select(one, [], selector, x, x.store) for one in (POOL, turned)]
        assert chosen[0][2].address != chosen[1][2].address
        best.append([one[0].ids[0] for one in chosen])
    assert best[0] == [BY_ROW[29], BY_ROW[0]]


@pytest.mark.parametrize("last", ["7", "1/2"])
def test_answers_that_are_numbers_are_not_scores(last: str, tmp_path: Path) -> None:
    answers = [*map(str, range(9)), last]
    rows = [{"instruction": f"Do {k}", "output": answers[k], "rating": k % 5} for k in range(10)]
    found = read_score_rows(str(written(tmp_path, rows)), join="auto", key=None, columns=None, only={})
    assert (found.join, found.columns) == ("text", ("rating",))
