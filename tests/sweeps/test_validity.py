"""Laws of what scores predict: planted correlations are found, shuffled scores predict nothing, sums are sums."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nait.core.dataset.examples import Example, Pool, Turn, gather
from nait.core.dataset.traits import Traits
from nait.core.ranking.orders import Highest, Lowest, Middle, RoundRobin
from nait.core.ranking.rank_statistics import spearman
from nait.core.ranking.score_table import ScoreTable
from nait.core.statistics.results import Evaluation, Item, Result
from nait.stages.artifacts.evaluation_files import write_evaluation
from nait.stages.artifacts.score_files import read_scores
from nait.stages.describe_pool import characterise
from nait.store import Store
from nait.sweeps.reports.full_report import Report
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.validity.lds_report import notes, validities, validity_csv
from nait.sweeps.validity.lds_statistics import (
    Resampled,
    Strata,
    around,
    ceiling,
    prediction,
    results,
    smallest_detectable,
    split_half_reliability,
)
from nait.sweeps.validity.method_scores import _Measurement
from nait.sweeps.validity.predictions import Worth, columns_for, order_of, recall, worth_of
from nait.sweeps.validity.trained_subsets import trained_subsets

from .fixtures import POOL, TASKS, put, select

SUBSETS, ITEMS = 40, 100


def trained(generator: np.random.Generator, rho: float, subsets: int = SUBSETS) -> tuple[Any, Strata]:
    """Predictions [R] with this correlation to the subsets' quality, and right or wrong items [R, I]."""
    quality = generator.standard_normal(subsets)
    predicted = rho * quality + (1 - rho**2) ** 0.5 * generator.standard_normal(subsets)
    chance = 1 / (1 + np.exp(-1.2 * quality[:, None] - generator.standard_normal(ITEMS)))
    return predicted, [(1.0, (generator.random((subsets, ITEMS)) < chance).astype(float))]


def slow_bootstrap(predicted: Any, strata: Strata, draws: int, seed: int) -> list[float]:
    """The bootstrap one draw at a time: the same subsets and items, scipy's Spearman."""
    generator = np.random.default_rng(seed)
    count = len(predicted)
    rows = generator.integers(0, count, size=(draws, count))
    times = [generator.multinomial(part.shape[1], np.full(part.shape[1], 1 / part.shape[1]), size=draws)
             for _, part in strata]  # fmt: skip
    found = []
    for b in range(draws):
        values = []
        for row in rows[b]:
            tasks = [
                np.repeat(part[row], counts[b]).mean()
                for (_, part), counts in zip(strata, times, strict=True)
            ]
            values.append(sum(weight * mean for (weight, _), mean in zip(strata, tasks, strict=True)))
        found.append(float(stats.spearmanr([predicted[row] for row in rows[b]], values).statistic))
    return found


def test_the_bootstrap_is_the_one_that_draws_one_at_a_time() -> None:
    generator = np.random.default_rng(3)
    predicted, strata = trained(generator, 0.6, subsets=12)
    _, other = trained(generator, 0.0, subsets=12)
    both = [(0.7, strata[0][1]), (0.3, other[0][1][:, :30])]
    drawn = Resampled.of(both, draws=50, seed=4).correlations(predicted)
    assert drawn == pytest.approx(slow_bootstrap(predicted, both, 50, 4), abs=1e-12)


def test_a_planted_correlation_is_within_its_interval_at_its_rate() -> None:
    generator = np.random.default_rng(0)
    quality, strata = trained(generator, 1.0, subsets=4000)
    noise = 0.5 * quality + 0.75**0.5 * generator.standard_normal(4000)
    truth = spearman(noise, results(strata))
    held = 0
    for k in range(100):
        predicted, strata = trained(generator, 0.5)
        found = prediction(predicted, strata, Resampled.of(strata, draws=200, seed=k))
        assert found is not None
        held += found.low <= truth <= found.high
    assert held >= 90  # 95 expected


def test_the_interval_of_a_shuffled_score_holds_zero_at_its_rate() -> None:
    generator = np.random.default_rng(1)
    _, strata = trained(generator, 0.9)
    resampled = Resampled.of(strata, draws=400)
    excluded = 0
    for _ in range(200):
        found = prediction(generator.permutation(SUBSETS).astype(float), strata, resampled)
        assert found is not None
        excluded += found.significant
    assert excluded <= 20  # 10 expected


def test_the_smallest_detectable_correlation_is_found_with_its_power() -> None:
    rho = smallest_detectable(SUBSETS)
    generator = np.random.default_rng(2)
    pairs = _pairs(generator, 2 * np.sin(np.pi * rho / 6), 400)  # Pearson's of a normal pair with this rho
    found = sum(stats.spearmanr(one[:, 0], one[:, 1]).pvalue < 0.05 for one in pairs)
    assert found / 400 == pytest.approx(0.8, abs=0.06)
    assert smallest_detectable(160) < 0.55 * rho


def _pairs(generator: np.random.Generator, pearson: float, draws: int) -> Any:
    """Normal pairs [draws, R, 2] with this Pearson correlation."""
    first, second = generator.standard_normal((2, draws, SUBSETS))
    return np.stack([first, pearson * first + (1 - pearson**2) ** 0.5 * second], axis=-1)


def test_the_ceiling_is_what_a_perfect_prediction_reaches() -> None:
    generator = np.random.default_rng(5)
    found = []
    for _ in range(30):
        quality, strata = trained(generator, 1.0)
        found.append((ceiling(split_half_reliability(strata, halves=20)), spearman(quality, results(strata))))
    ceilings, reached = np.array(found).T
    assert ceilings.mean() == pytest.approx(reached.mean(), abs=0.03)


def test_items_without_a_difference_have_no_reliability_and_no_correlation() -> None:
    strata = [(1.0, np.tile(np.arange(10) % 2.0, (8, 1)))]
    assert split_half_reliability(strata) == 0.0
    assert ceiling(0.0) is None
    assert prediction(np.arange(8.0), strata, Resampled.of(strata, draws=10)) is None


def test_an_interval_around_a_perfect_correlation_ends_below_one() -> None:
    found = around(1.0, np.ones(50), 8)
    assert 0.5 < found.low < 0.95 < found.high < found.rho


def test_a_high_correlation_over_few_subsets_may_be_significant() -> None:
    """Many draws of few subsets are in perfect order, which has no finite place on Fisher's scale."""
    generator = np.random.default_rng(6)
    quality, strata = trained(generator, 0.97, subsets=4000)
    truth = spearman(quality, results(strata))
    held = significant = 0
    for k in range(60):
        predicted, strata = trained(generator, 0.97, subsets=8)
        found = prediction(predicted, strata, Resampled.of(strata, draws=200, seed=k))
        assert found is not None
        held += found.low <= truth <= found.high
        significant += found.significant
    assert held >= 54  # 57 expected
    assert significant >= 25  # 31 measured; with draws that are infinitely far away, 2


def table(*columns: Any, names: tuple[str, ...] = ("sums", "code")) -> ScoreTable:
    values = np.array(columns, dtype=float).T
    return ScoreTable(tuple(f"r{k}" for k in range(len(values))), names[: len(columns)], values, "", "")


def test_the_sum_of_scores_is_the_prediction_of_a_single_column() -> None:
    scores = table([3.0, 1.0, np.nan, 2.0])
    worth = worth_of(scores, Highest(), [0])
    assert not worth.by_rank
    assert worth.unscored == 1
    assert worth.of([np.array([0, 1]), np.array([2, 3])]).tolist() == [4.0, 3.0]  # the row without a score: 1
    lowest = worth_of(scores, Lowest(), [0])
    assert lowest.of([np.array([0, 1]), np.array([1, 3])]).tolist() == [-4.0, -3.0]


@pytest.mark.parametrize("order", [Middle(), RoundRobin()])
def test_other_orders_predict_by_the_mean_rank(order: Any) -> None:
    columns = [[5.0, 1.0, 2.0, 4.0, 3.0], [1.0, 5.0, 2.0, 3.0, 4.0]]
    scores = table(columns[0]) if isinstance(order, Middle) else table(*columns, names=("sums/0", "sums/1"))
    worth = worth_of(scores, order, list(range(len(scores.targets))))
    ranks = {row: place for place, row in enumerate(order(scores).tolist())}
    assert worth.by_rank
    assert worth.of([np.array([0, 3])]).tolist() == [-(ranks[0] + ranks[3]) / 2]


def test_a_benchmark_is_predicted_by_the_column_of_its_target() -> None:
    scores = table([1.0], [2.0], [3.0], names=("sums", "code/0", "code/1"))
    assert columns_for(scores, "nano_sums", {}) == [0]
    assert columns_for(scores, "nano_code", {}) == [1, 2]
    assert columns_for(scores, "mmlu", {}) == [0, 1, 2]
    assert columns_for(scores, "mmlu", {"sums": "mmlu"}) == [0]


def test_recall_counts_the_relevant_rows_among_as_many_best_rows() -> None:
    assert recall(np.array([2, 0, 1]), np.array([True, False, True])) == 1.0
    assert recall(np.array([1, 0, 2]), np.array([True, False, True])) == 0.5
    assert recall(np.array([1, 0, 2]), np.zeros(3, dtype=bool)) is None


def test_a_stored_order_is_built_again_and_a_foreign_one_is_not() -> None:
    found = order_of({"_target_": "nait.core.orders.FromQuantile", "q": 0.5})
    assert getattr(found, "q", None) == 0.5
    assert order_of({"_target_": "outside.ByName"}) is None


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three scored methods, and subsets whose results on nano_math follow the scores of the first one."""
    store = Store(tmp_path_factory.mktemp("validity"))
    for name in ("nait", "rds", "selectit"):
        put(store, name, target="math", evaluated=False)
    scores, _ = select(store, "nait", ("math",), 20)
    found = store.find("scores", scores)
    assert found
    values = dict(zip(read_scores(found)[0].ids, read_scores(found)[0].values[:, 0], strict=True))
    sums = {}
    for number in range(12):
        _, made = select(store, "tilted_random", ("math",), 20, seed=number, selector={"subset": str(number)})
        chosen = RunSet.load(store).chosen(made)
        assert chosen
        sums[number] = sum(values[key] for key in chosen.chosen)
    low, high = min(sums.values()), max(sums.values())
    for number, total in sums.items():
        share = {**dict.fromkeys(TASKS, 0.5), "nano_math": 0.2 + 0.6 * (total - low) / (high - low)}
        put(store, "tilted_random", target="math", share=share, subset=str(number))
    put(store, "random", target="math", evaluated=False)
    return store


def test_the_method_whose_scores_the_results_follow_is_first(swept: Store) -> None:
    (found,) = validities(RunSet.load(swept), {})
    assert [one.name for one in found.methods] != []
    best = max(found.methods, key=lambda one: one.lds["nano_math"].rho)
    assert best.name == "nait"
    assert best.lds["nano_math"].rho > 0.9
    assert best.lds["nano_math"].significant
    assert len(found.subsets.numbers) == 12
    assert set(found.subsets.benchmarks) == set(TASKS)  # without the group of all of them
    assert {one.name for one in found.methods} == {"nait", "rds", "selectit"}  # random is not a method
    assert found.control
    assert found.control.mean
    assert not found.control.mean.significant
    assert any("12 random subsets of 20 rows" in note for note in notes(found))


def test_orders_that_rank_one_column_equally_count_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for order in ("Highest", "BestRank", "Middle"):
        put(store, "nait", target="math", evaluated=False, order=order)
    for number in range(8):
        share = {**dict.fromkeys(TASKS, 0.5), "nano_math": 0.1 * number + 0.1}
        put(store, "tilted_random", target="math", share=share, subset=str(number))
    (found,) = validities(RunSet.load(store), {})
    assert sorted(one.name for one in found.methods) == ["nait order=Highest", "nait order=Middle"]


def test_the_csv_has_a_row_for_each_method_and_benchmark(swept: Store) -> None:
    rows = list(csv.DictReader(io.StringIO(validity_csv(validities(RunSet.load(swept), {})))))
    assert len(rows) == 4 * 3
    assert {row["predicted_by"] for row in rows} == {"sum of scores", "control"}


def test_equal_results_have_no_correlation_and_a_note(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", target="math", evaluated=False)
    for number in range(8):
        put(
            store,
            "tilted_random",
            target="math",
            share={"nano_math": 0.0, "nano_code": 0.1 * number},
            subset=str(number),
        )
    (found,) = validities(RunSet.load(store), {})
    rows = list(csv.DictReader(io.StringIO(validity_csv([found]))))
    assert {row["benchmark"]: row["lds"] == "" for row in rows} == {"nano_math": True, "nano_code": False}
    assert any("same result on nano_math: no correlation is defined" in note for note in notes(found))


def evaluated(store: Store, number: int, *, items: bool) -> str:
    """The address of an evaluation with a perplexity, which is not a mean over items; with or without an accuracy."""
    right = [float(k < 5 + 5 * number) for k in range(60)]
    accuracy = Result("nano_math", "acc", sum(right) / 60, 0.05, 60)
    perplexity = Result("wikitext", "perplexity", 20.0 - number, None, 60, higher_is_better=False)
    found = [Item("nano_math", k, "acc", "", value, f"h{k}") for k, value in enumerate(right)]
    evaluation = Evaluation((accuracy, perplexity) if items else (perplexity,), tuple(found if items else ()))
    names = [one.task for one in evaluation.results]
    tasks = {name: {"definition": "d", "data": None, "num_fewshot": 0} for name in names}
    key = {"suite": {"requested": names, "tasks": tasks}, "model": "m0", "number": number}

    def write(part: Path) -> dict[str, Any]:
        write_evaluation(part, evaluation)
        return {}

    return store.produce("evaluations", key, write).address


@pytest.mark.parametrize("items", [True, False])
def test_a_benchmark_without_items_is_named(items: bool, tmp_path: Path) -> None:
    store, out = Store(tmp_path / "store"), tmp_path / "out"
    put(store, "nait", target="math", evaluated=False)
    for number in range(8):
        made = {"evaluation": evaluated(store, number, items=items)}
        put(store, "tilted_random", target="math", subset=str(number), also=made)
    assert [list(one.subsets.benchmarks) for one in validities(RunSet.load(store), {})] == (
        [["nano_math"]] if items else []
    )
    out.mkdir()
    Report().report(store, None, out)
    said = "Not measured on wikitext: the result is not a mean over items that all subsets share."
    assert said in (out / "report.md").read_text()


def test_the_report_shows_predictions_and_no_line_for_each_subset(swept: Store, tmp_path: Path) -> None:
    printed = Report().report(swept, None, tmp_path)
    assert "sum of scores" in printed
    assert "subset=" not in printed
    assert "tilted_random" not in (tmp_path / "leaderboard.md").read_text()
    assert "Does a score predict?" in (tmp_path / "report.html").read_text()
    for name in ("validity.svg", "validity.csv"):
        assert (tmp_path / name).is_file()


def test_few_subsets_are_counted_and_not_measured(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    put(store, "nait", target="math", evaluated=False)
    for number in range(3):
        put(store, "tilted_random", target="math", subset=str(number))
    assert validities(RunSet.load(store), {}) == []
    (tmp_path / "out").mkdir()
    Report().report(store, None, tmp_path / "out")
    assert "3 random subsets were trained" in (tmp_path / "out" / "report.md").read_text()


class Family:
    """A describer without traits: the labels of the rows themselves decide."""

    def key(self) -> dict[str, str]:
        return {}

    def read(self, rows: Pool) -> Traits:
        return Traits(rows.ids, {}, {}, {})


def test_recall_reads_the_labels_of_the_subsets_own_pool(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def labelled(family: str, *, given: bool = True) -> dict[str, str]:
        rows = gather("p", [Example(f"row{k:03d}", (Turn(family, "b"),), row=k) for k in range(POOL)])
        labels = {"family": [family] * POOL} if given else {}
        return {"traits": characterise(rows, Family(), store, given=labels).address}

    put(store, "rds", target="math", evaluated=False, also=labelled("code"), **{"template.examples": "other"})
    put(store, "nait", target="math", evaluated=False, also=labelled("math", given=False))
    for number in range(8):
        share = {**dict.fromkeys(TASKS, 0.5), "nano_math": 0.1 * number + 0.1}
        put(store, "tilted_random", target="math", share=share, subset=str(number), also=labelled("math"))
    (found,) = validities(RunSet.load(store), {})
    assert {one.name: set(one.recall) for one in found.methods} == {"nait": {"nano_math"}}


def test_a_mean_over_fewer_benchmarks_than_the_others_is_left_out(swept: Store) -> None:
    (subsets,) = trained_subsets(RunSet.load(swept))
    resampled = {task: Resampled.of(strata, draws=50) for task, strata in subsets.benchmarks.items()}
    measurement = _Measurement(subsets, {}, resampled, {})
    generator, rows = np.random.default_rng(0), [np.arange(k, k + 5) for k in range(len(subsets.numbers))]
    drawn = {task: generator.random(POOL) for task in subsets.benchmarks}

    def worths(values: Mapping[str, Any]) -> dict[str, Worth]:
        return {task: Worth(one, False, 0, np.arange(POOL)) for task, one in values.items()}

    whole, mean = measurement.scores(worths(drawn), rows)
    assert set(whole) == set(TASKS)
    assert mean
    fewer, mean = measurement.scores(worths({**drawn, "nano_code": np.ones(POOL)}), rows)
    assert set(fewer) == set(TASKS) - {"nano_code"}
    assert mean is None
