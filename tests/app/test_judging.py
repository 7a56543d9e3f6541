"""Laws of judging by the rows' own labels: what is read, what is refused, what is left out and said."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError, DataError
from nait.core.ranking.ground_truth import TruthColumns, measure
from nait.data.pools import read_pool
from nait.nano.pools import nano_pool
from nait.runs.truth_labels import PoolLabels, labels_of
from tests.app.commands import given, manifests, warm

Run = Callable[..., subprocess.CompletedProcess[str]]
HEADER = "instruction,output,family,clean,lookalike\n"
DEFAULT = TruthColumns("family", "skill", "clean", "lookalike")


@pytest.fixture
def nait(home: Path, tmp_path: Path) -> Run:
    return lambda *arguments: warm().run([*given(home), *arguments], cwd=tmp_path)


def pool(path: Path, lines: str, header: str = HEADER) -> Pool:
    path.write_text(header + lines)
    return read_pool(path)


def labelled(rows: Pool, columns: TruthColumns = DEFAULT, *names: str) -> PoolLabels:
    found = labels_of(rows, columns, [Target(name, (), name) for name in names or ("math",)])
    assert found is not None
    return found


@pytest.mark.parametrize("tab", [False, True])
def test_labels_that_are_text_are_read_as_what_they_say(tab: bool, tmp_path: Path) -> None:
    lines, header = "q0,a0,math,True,False\nq1,a1,code,False,no\nq2,a2,chat,no,YES\n", HEADER
    if tab:
        lines, header = lines.replace(",", "\t"), header.replace(",", "\t")
    rows = pool(tmp_path / ("rows.tsv" if tab else "rows.csv"), lines, header)
    found = measure(labelled(rows).of(rows), range(3), ["math"])
    third = pytest.approx(1 / 3)
    assert found == {"precision": third, "base_rate": third, "clean": third, "lookalike": third}


def test_a_label_that_is_neither_true_nor_false_is_named_by_file_line_column_and_value(
    tmp_path: Path,
) -> None:
    rows = pool(tmp_path / "rows.csv", "q0,a0,math,True,False\nq1,a1,code,perhaps,False\n")
    with pytest.raises(DataError, match=r"rows\.csv .*: column 'clean' \(truth\.clean\) holds 'perhaps'"):
        labelled(rows)


def test_labels_follow_the_rows_that_are_left(tmp_path: Path) -> None:
    rows = pool(tmp_path / "rows.csv", "q0,a0,math,1,0\nq1,a1,code,1,0\nq2,a2,chat,1,0\n")
    fewer = replace(rows, examples=rows.examples[1:])
    whole = labelled(rows).labels.family
    left = labelled(rows).of(fewer).family
    assert whole is not None
    assert left is not None
    assert left.tolist() == whole.tolist()[1:]


def test_a_target_without_labelled_rows_is_reported_once_with_the_labels(tmp_path: Path) -> None:
    rows = pool(tmp_path / "rows.csv", "q0,a0,math,1,0\nq1,a1,code,1,0\n")
    (column, said) = labelled(rows, DEFAULT, "ref").warnings
    assert "no column 'skill' (truth.skill)" in column
    assert "No row is labelled 'ref'; the labels are code, math; set target.name=LABEL" in said
    (_, said) = labelled(rows, DEFAULT, "math", "ref").warnings
    assert "No row is labelled 'ref'; the labels are code, math; name each target as its label" in said
    assert len(labelled(rows, DEFAULT, "math", "code").warnings) == 1


def test_labels_that_differ_from_the_target_in_case_or_white_space_are_reported(tmp_path: Path) -> None:
    rows = pool(tmp_path / "rows.csv", "q0,a0,math,1,0\nq1,a1,Math,1,0\nq2,a2,math ,1,0\nq3,a3,maths,1,0\n")
    said = [one for one in labelled(rows).warnings if "do not count as in target" in one]
    assert [one.split(",")[0] for one in said] == [
        "1 rows are labelled 'Math'",
        "1 rows are labelled 'math '",
    ]
    rows = pool(tmp_path / "rows.csv", "q0,a0,math,1,0\nq1,a1,Math,1,0\n")
    assert not any("do not count" in one for one in labelled(rows, DEFAULT, "math", "Math").warnings)


def test_a_label_column_that_the_user_names_is_there(tmp_path: Path) -> None:
    rows = pool(tmp_path / "rows.csv", "q0,a0,math,1,0\n")
    with pytest.raises(
        ConfigError, match=r"truth\.family: no row has a column 'famly'\. Did you mean 'family'"
    ):
        labelled(rows, replace(DEFAULT, family="famly"))
    with pytest.raises(
        ConfigError, match=r"truth\.skill: no row has a column 'zzz'\. The rows have: clean, fam"
    ):
        labelled(rows, replace(DEFAULT, skill="zzz"))


def test_a_pool_without_any_label_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"instruction": "q", "output": "a"}\n')
    rows = read_pool(tmp_path / "rows.jsonl")
    with pytest.raises(ConfigError, match=r"no row has any of the label columns \(family, skill, clean"):
        labelled(rows)
    with pytest.raises(ConfigError, match="all are null"):
        labelled(rows, TruthColumns())


def test_the_rows_of_the_world_that_look_like_a_target_are_counted_for_that_target() -> None:
    rows = nano_pool(300)
    labels = labelled(rows).of(rows)
    assert labels.family is not None
    found = measure(labels, range(len(rows)), ["math"])["lookalike"]
    assert found == pytest.approx((labels.family == "lookalike_math").mean())


def test_wrong_label_columns_end_a_job_before_a_model_is_opened(nait: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"instruction": "q", "output": "a", "kind": "math"}\n' * 3)
    done = nait(
        f"data.path={tmp_path / 'rows.jsonl'}", "truth=columns", "truth.family=knd", "stages=[select]"
    )
    assert done.returncode == 2
    assert "truth.family: no row has a column 'knd'. Did you mean 'kind'?" in done.stderr
    assert "Opening" not in done.stderr


def test_numbers_that_are_not_defined_are_in_no_log_and_no_manifest(nait: Run, tmp_path: Path) -> None:
    rows = [{"instruction": f"q{i}", "output": "a", "skill": f"s{i % 2}"} for i in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = nait(
        f"data.path={tmp_path / 'rows.jsonl'}", "truth=columns", "truth.family=skill", "truth.skill=null",
        "selector=random", "target.name=ref", "stages=[select,report]",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("No row is labelled 'ref'; the labels are s0, s1; set target.name=LABEL") == 1
    assert "By the labels" not in done.stderr
    (manifest,) = manifests(tmp_path)
    assert manifest["truth"] == {}
    assert sum("No row is labelled 'ref'" in said for said in manifest["warnings"]) == 1
    assert "precision" not in done.stdout
    assert not any("precision" in path.read_text() for path in (tmp_path / "runs").rglob("*.csv"))
