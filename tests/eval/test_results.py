"""The harness's dictionaries become typed results; group means are what a hand computes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.core.errors import StoreError
from nait.core.statistics.results import Evaluation, Item, Result
from nait.eval.parsed_results import parse
from nait.eval.suites.suite import Group, GroupMean, Suite, Task, resolve
from nait.eval.suites.task_definitions import Catalogue, Entry, library
from nait.stages.artifacts.evaluation_files import read_items, read_results, write_evaluation


def _suite(*groups: Group) -> Suite:
    tasks = tuple(Task(name, Entry(name, "task", None, {}), {}) for name in ("one", "two"))
    return Suite({"both": ("one", "two")}, tasks, groups)


def _sample(doc: int, value: Any, *, filter_name: str = "none", metric: str = "acc") -> dict[str, Any]:
    return {
        "doc_id": doc,
        "doc_hash": f"h{doc}",
        "filter": filter_name,
        "metrics": [metric],
        metric: value,
    }


def _raw() -> dict[str, Any]:
    """Task one: 1, 1, 0, 0 (mean 0.5). Task two: 1, 0 (mean 0.5), then as strict 0, 0."""
    error_one = math.sqrt(1 / 3) / 2
    return {
        "results": {
            "one": {
                "alias": "one",
                "sample_len": 4,
                "acc,none": 0.5,
                "acc_stderr,none": error_one,
                "f,none": "N/A",
            },
            "two": {
                "alias": "two",
                "sample_len": 2,
                "acc,none": 1.0,
                "acc_stderr,none": 0.1,
                "acc,strict": 0.0,
                "acc_stderr,strict": "N/A",
            },
        },
        "samples": {
            "one": [_sample(i, v) for i, v in enumerate((1, 1, 0, 0))],
            "two": [_sample(i, True) for i in range(2)]
            + [_sample(i, 0.0, filter_name="strict") for i in range(2)],
        },
        "n-shot": {"one": 3, "two": 3},
        "higher_is_better": {"one": {"acc": True}, "two": {"acc": True}},
        "versions": {"one": 1.0},
    }


BOTH = Group("both", ("one", "two"), (GroupMean("acc", ("",), True),), ("three",))


def test_a_task_has_its_value_its_error_and_its_count() -> None:
    results, _, _ = parse(_raw(), _suite(), primary={})
    (one,) = [r for r in results if r.task == "one"]
    assert one == Result("one", "acc", 0.5, math.sqrt(1 / 3) / 2, 4, num_fewshot=3)
    strict = next(r for r in results if r.filter == "strict")
    assert strict.stderr is None
    assert strict.n == 2


def test_no_key_of_the_harness_leaves() -> None:
    results, items, _ = parse(_raw(), _suite(BOTH), primary={})
    for value in (*results, *items):
        assert "," not in value.metric
        assert value.filter != "none"
        assert "_stderr" not in value.metric


def test_group_means_are_weighted_and_macro() -> None:
    results, _, _ = parse(_raw(), _suite(BOTH), primary={})
    weighted, macro = (r for r in results if r.is_group)
    assert (weighted.metric, macro.metric) == ("acc", "acc_macro")
    assert weighted.value == pytest.approx((4 * 0.5 + 2 * 1.0) / 6)
    assert macro.value == pytest.approx(0.75)
    error_one = math.sqrt(1 / 3) / 2
    assert weighted.stderr == pytest.approx(math.hypot(4 / 6 * error_one, 2 / 6 * 0.1))
    assert macro.stderr == pytest.approx(math.hypot(0.5 * error_one, 0.5 * 0.1))
    assert (weighted.n, weighted.num_fewshot, weighted.missing) == (6, 3, ("three",))
    assert results[0].task == "both"


@pytest.mark.parametrize("equal", [True, False])
def test_mmlu_is_weighted_by_subject_size_at_each_level_as_in_the_harness(equal: bool) -> None:
    from lm_eval.api.metrics import aggregate_subtask_metrics, pooled_sample_stderr

    suite = resolve(["mmlu"], Catalogue([], shipped=library()))
    draw = np.random.default_rng(0)
    right = {
        task.name: draw.integers(0, 2, 20 if equal else int(draw.integers(2, 90))) for task in suite.tasks
    }
    accuracy = {name: float(values.mean()) for name, values in right.items()}
    error = {name: float(values.std(ddof=1)) / math.sqrt(len(values)) for name, values in right.items()}
    raw = {
        "results": {
            name: {"sample_len": len(values), "acc,none": accuracy[name], "acc_stderr,none": error[name]}
            for name, values in right.items()
        },
        "samples": {name: [_sample(i, int(v)) for i, v in enumerate(vs)] for name, vs in right.items()},
    }
    found = {(r.task, r.metric): r for r in parse(raw, suite, primary={})[0] if r.is_group}
    assert len(found) == 2 * 5
    for group in suite.groups:
        leaves, sizes = list(group.tasks), [len(right[name]) for name in group.tasks]
        items = np.concatenate([right[name] for name in leaves])
        result, macro = found[group.name, "acc"], found[group.name, "acc_macro"]
        assert result.n == macro.n == len(items)
        assert result.value == pytest.approx(items.mean())
        assert result.value == pytest.approx(aggregate_subtask_metrics([*map(accuracy.get, leaves)], sizes))
        strata = sum((len(right[n]) / len(items) * error[n]) ** 2 for n in leaves)
        assert result.stderr == pytest.approx(math.sqrt(strata))
        pooled = float(pooled_sample_stderr([error[name] for name in leaves], sizes))
        assert result.stderr == pytest.approx(pooled, rel=1e-9 if equal else 0.03)
        assert macro.value == pytest.approx(np.mean([accuracy[name] for name in leaves]))
        assert macro.stderr == pytest.approx(np.linalg.norm([error[n] for n in leaves]) / len(leaves))


def test_one_metric_of_each_name_is_primary() -> None:
    for primary, metric, filter_name in (
        ({}, "acc", ""),
        ({"two": "acc/strict", "both": "acc_macro"}, "acc_macro", "strict"),
    ):
        results, _, _ = parse(_raw(), _suite(BOTH), primary=primary)
        main = {r.task: r for r in results if r.primary}
        assert sum(r.primary for r in results) == 3
        assert main["both"].metric == metric
        assert main["two"].filter == filter_name


def test_a_group_without_means_averages_the_primary_metrics() -> None:
    results, _, _ = parse(_raw(), _suite(Group("both", ("one", "two"), ())), primary={"two": "acc/strict"})
    (mean,) = [r for r in results if r.is_group]
    assert (mean.metric, mean.value, mean.stderr, mean.filter) == ("acc_macro", 0.25, None, "")


def test_an_unknown_subtask_error_leaves_the_group_without_one() -> None:
    group = Group("both", ("one", "two"), (GroupMean("acc", None, True),))
    results, _, _ = parse(_raw(), _suite(group), primary={})
    strict = [r for r in results if r.is_group and r.filter == "strict"]
    assert [r.stderr for r in strict] == [None, None]
    assert [r.n for r in strict] == [2, 2]


def test_items_are_kept_by_filter_and_non_numbers_are_named() -> None:
    raw = _raw()
    raw["samples"]["one"].append(_sample(4, (1, 2), metric="f1"))
    _, items, warnings = parse(raw, _suite(), primary={})
    assert Item("two", 1, "acc", "strict", 0.0, "h1") in items
    assert Item("two", 1, "acc", "", 1.0, "h1") in items
    assert len(items) == 8
    assert warnings == ["no outcome of single items for one f1"]


def test_an_evaluation_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    results, items, _ = parse(_raw(), _suite(BOTH), primary={})
    evaluation = Evaluation(results, items, ("three",), ("cut",), {"lm_eval": "0"}, {"one": (1, 2)})
    write_evaluation(tmp_path, evaluation)
    assert read_results(tmp_path) == evaluation.results
    assert read_items(tmp_path) == evaluation.items
    record = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert (record["missing"], record["warnings"], record["versions"]) == (
        ["three"],
        ["cut"],
        {"lm_eval": "0"},
    )
    assert record["answers_at_limit"] == {"one": [1, 2]}


def test_a_damaged_evaluation_is_one_clear_error(tmp_path: Path) -> None:
    write_evaluation(tmp_path, Evaluation((), ()))
    (tmp_path / "items.parquet").write_bytes(b"PAR")
    with pytest.raises(StoreError, match="the evaluation cannot be read"):
        read_items(tmp_path)
