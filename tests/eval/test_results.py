"""The harness's dictionaries become typed results; group means are what a hand computes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.core.errors import StoreError
from nait.core.statistics.results import Evaluation, Item, Result
from nait.eval.language_model.answer_limits import limit_warnings
from nait.eval.parsed_results import parse
from nait.eval.suites.listed_metrics import reading_version
from nait.eval.suites.suite import Group, GroupMean, Suite, Task, resolve
from nait.eval.suites.task_definitions import OWN, Catalogue, Entry, Function, library
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


def _of_two_metrics(*metric_list: dict[str, Any]) -> tuple[Suite, dict[str, Any]]:
    """The tasks `one` and `two`, whose file has this list, with a group without means, and results of the harness."""
    entry = Entry("", "task", None, {"output_type": "multiple_choice", "metric_list": [*metric_list]})
    tasks = tuple(Task(name, entry, {}) for name in ("one", "two"))
    raw: dict[str, Any] = {
        "results": {
            name: {"acc,none": 0.5, "acc_stderr,none": 0.1, "f1,none": 0.3, "f1_stderr,none": 0.1}
            for name in ("one", "two")
        },
        "higher_is_better": {
            name: {one["metric"]: one.get("higher_is_better") for one in metric_list}
            for name in ("one", "two")
        },
    }
    group = Group("both", ("one", "two"), ())
    return Suite({"both": ("one", "two")}, tasks, (group,)), raw


ACC, F1 = {"metric": "acc", "higher_is_better": True}, {"metric": "f1", "higher_is_better": True}


@pytest.mark.parametrize(("metrics", "main", "mean"), [((F1, ACC), "f1", 0.3), ((ACC, F1), "acc", 0.5)])
def test_the_main_metric_is_the_first_of_the_task_file(
    metrics: tuple[dict[str, Any], ...], main: str, mean: float
) -> None:
    suite, raw = _of_two_metrics(*metrics)
    results, _, warnings = parse(raw, suite, primary={})
    assert {r.metric for r in results if r.primary and not r.is_group} == {main}
    assert [(r.metric, r.value) for r in results if r.is_group] == [(f"{main}_macro", pytest.approx(mean))]
    assert warnings == []


def test_metrics_of_opposite_directions_have_no_mean_and_a_warning() -> None:
    suite, raw = _of_two_metrics(ACC, F1)
    raw["higher_is_better"]["two"]["acc"] = False
    results, _, warnings = parse(raw, suite, primary={})
    assert not [r for r in results if r.is_group]
    (said,) = warnings
    assert said.startswith("both has no mean: higher is better for some of its tasks and lower for others.")
    (mean,) = [r for r in parse(raw, suite, primary={"two": "f1"})[0] if r.is_group]
    assert (mean.metric, mean.value) == ("primary_macro", pytest.approx(0.4))


def test_a_mean_of_a_metric_that_no_task_has_is_missing_with_a_warning() -> None:
    suite, raw = _of_two_metrics(ACC, F1)
    wrong = replace(suite, groups=(Group("both", ("one", "two"), (GroupMean("bleu", None, True),)),))
    assert parse(raw, wrong, primary={})[2] == ["both has no mean: its tasks have no metric bleu"]


def test_a_mean_that_lacks_tasks_names_them() -> None:
    suite, raw = _of_two_metrics(ACC, F1)
    del raw["results"]["two"]["acc,none"]
    both = replace(suite, groups=(Group("both", ("one", "two"), (GroupMean("acc", None, False),)),))
    results, _, warnings = parse(raw, both, primary={})
    assert [(r.value, len(r.members)) for r in results if r.is_group] == [(0.5, 1), (0.5, 1)]
    assert warnings == ["both acc is the mean of 1 of its 2 tasks: two has no such metric"]
    raw["results"]["two"]["acc,strict"] = 0.9  # another filter is another mean
    (said,) = parse(raw, both, primary={})[2]
    assert said == "both acc is the mean of 1 of its 2 tasks: two has no such metric"


def test_a_metric_without_a_direction_is_taken_as_higher_is_better_with_a_warning() -> None:
    suite, raw = _of_two_metrics({"metric": "acc"}, F1)
    results, _, (said,) = parse(raw, suite, primary={})
    assert all(r.higher_is_better for r in results)
    assert said.startswith("higher is taken as better for one acc, two acc: the task file does not say.")


def test_only_suites_that_older_versions_read_differently_have_another_key() -> None:
    def entry(output_type: str, *metrics: dict[str, Any], **more: Any) -> dict[str, int]:
        config = {"output_type": output_type, "metric_list": [*metrics], **more}
        task = Task("one", Entry("one", "task", None, config), {})
        return reading_version(Suite({"one": ("one",)}, (task,), (Group("all", ("one",), ()),)))

    own = Function("m.results", Path())
    lower = {"metric": "brier_score", "higher_is_better": False}
    undirected = {"metric": Function("m.score", Path())}
    assert entry("multiple_choice", ACC, F1) == entry("generate_until", F1, ACC) == {}
    assert entry("multiple_choice", F1) == entry("generate_until", F1, process_results=own) == {}
    assert entry("generate_until", {"metric": "exact_match"}) == {}  # the harness knows its direction
    for changed in (
        entry("multiple_choice", F1, ACC),
        entry("generate_until", F1, ACC, process_results=own),
        entry("generate_until", undirected),
        entry("multiple_choice", ACC, lower),
    ):
        assert changed == {"metrics": 2}
    stock = resolve(["mmlu", "gsm8k", "bbh_cot_fewshot", "nano"], Catalogue([OWN], shipped=library()))
    assert reading_version(stock) == {}


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


def test_cut_answers_of_one_task_show_although_its_group_has_few() -> None:
    start = "answers end at their token limit, unfinished: "
    assert limit_warnings(_suite(), {"one": (0, 100), "two": (5, 100)}) == []
    assert limit_warnings(_suite(), {"one": (0, 100), "two": (9, 100)}) == [f"{start}two 9 of 100"]
    assert limit_warnings(_suite(), {"one": (2, 100), "two": (9, 100)}) == [f"{start}both 11 of 200"]
    many = Suite({"all": tuple(map(str, range(300)))}, (), ())
    counts = {str(k): (int(k < 8), 1) for k in range(300)}
    assert limit_warnings(many, counts)[0].endswith("5 1 of 1, 2 more tasks of all")


def test_a_value_that_is_not_finite_has_a_warning_with_its_items() -> None:
    raw = _raw()
    raw["results"]["one"]["acc,none"] = math.nan
    raw["samples"]["one"][1]["acc"] = math.nan
    _, _, warnings = parse(raw, _suite(), primary={})
    assert [text for text in warnings if "finite" in text] == [
        "one and the means with it lack a finite value: acc nan (1 of 4 items)"
    ]
    assert not any("finite" in text for text in parse(_raw(), _suite(), primary={})[2])


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
    with pytest.raises(StoreError, match=r"items\.parquet: cannot be read"):
        read_items(tmp_path)
