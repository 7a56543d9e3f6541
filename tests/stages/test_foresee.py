"""Laws of minimum effects: the store's evaluations say how noisy a suite is; what nobody knows is not guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.core.statistics.power import Comparisons, Noise
from nait.core.statistics.results import Evaluation, Item, Result
from nait.stages.artifacts.evaluation_files import read_items, read_results, write_evaluation
from nait.stages.checks.contamination_text import COMPARED
from nait.stages.checks.minimum_effect import effects_of_suite
from nait.stages.report import record_run
from nait.store import Store
from tests.older_stores import without_checksums

EASY, HARD = 40, 20


class Suite:
    """A suite that knows the sizes it is given, and reads nothing."""

    def __init__(self, **sizes: int) -> None:
        self.known = sizes

    def check(self) -> None: ...

    def key(self) -> Mapping[str, Any]:
        return {"suite": "one", "limit": 30}

    def sizes(self) -> Mapping[str, int]:
        return self.known

    def items(self) -> Mapping[str, Sequence[Any]]:
        raise AssertionError("the items may be slow to read")

    def evaluate(self, *_: Any, **__: Any) -> Evaluation:
        raise AssertionError("nothing is evaluated")


class HeldOut(Suite):
    """A suite whose result is a loss."""

    def key(self) -> Mapping[str, Any]:
        return {**super().key(), "held_out": 1}


def put(store: Store, method: str, seed: int, wrong: int, *, trained: bool = True, recipe: str = "") -> None:
    """A run whose first `wrong` items of each task are wrong."""
    sizes = {"easy": EASY, "hard": HARD}
    items = [Item(task, k, "acc", "", float(k >= wrong)) for task, size in sizes.items() for k in range(size)]
    items += [Item("easy", k, "other", "", 9.0) for k in range(EASY)]
    results = [Result(task, "acc", 1 - wrong / size, None, size) for task, size in sizes.items()]
    results += [
        Result("easy", "other", 9.0, None, EASY, primary=False),
        Result("both", "acc", 0.5, None, EASY + HARD, is_group=True),
    ]

    def write(part: Path) -> dict[str, int]:
        write_evaluation(part, Evaluation(tuple(results), tuple(items)))
        return {}

    made = store.produce("evaluations", {"suite": Suite().key(), "run": [method, seed, recipe]}, write)
    labels = {"selector": method, "seed": seed, "trained": trained, "model": "m"}
    record_run(store, {"evaluation": made.address}, labels, {"settings": {}, "training": recipe})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_an_unknown_number_of_items_is_not_guessed(store: Store) -> None:
    assert effects_of_suite(Suite(), store, seeds=3) == ()
    assert effects_of_suite(HeldOut(easy=EASY), store, seeds=3) == ()


def test_a_suite_that_knows_its_sizes_is_believed_and_the_rest_assumed(store: Store) -> None:
    whole, part = effects_of_suite(Suite(easy=EASY, hard=HARD), store, seeds=3)
    assert (whole.items, part.of, part.items) == (60, "hard", 20)
    assert whole.noise == part.noise == Noise()


@pytest.mark.parametrize(
    ("requested", "count"), [(["easy", "hard"], 2), (["both"], 1), (["a_tag"], 2), (["a_tag", "easy"], 2)]
)
def test_a_tag_counts_a_comparison_for_each_of_its_tasks(
    store: Store, requested: list[str], count: int
) -> None:
    class Asked(Suite):
        def key(self) -> Mapping[str, Any]:
            return {
                **super().key(),
                "requested": requested,
                "tasks": {"easy": {}, "hard": {}},
                "means": {"both": []},
            }

    whole, _ = effects_of_suite(Asked(easy=EASY, hard=HARD), store, seeds=3, methods=2)
    assert whole.comparisons == Comparisons(2, 2 * count)


def test_the_noise_is_that_of_earlier_pairs_of_methods(store: Store) -> None:
    for seed, wrong in enumerate((2, 5, 5)):
        put(store, "nait", seed, wrong)
        put(store, "random", seed, 8)
    put(store, "base", 0, 20, trained=False)
    whole, part = effects_of_suite(Suite(), store, seeds=3)
    d_s = np.array([6, 3, 3]) * 2 / 60
    assert (whole.items, whole.noise.pairs, whole.noise.seed_pairs) == (60, 1, 1)
    assert whole.noise.disagreement == pytest.approx(d_s.mean())
    assert whole.noise.seed_sd == pytest.approx(d_s.std(ddof=1))
    assert part.of == "hard"
    assert part.noise.disagreement == pytest.approx((d_s * 60 / 2 / HARD).mean())


def test_runs_of_two_recipes_are_two_methods_and_neither_hides_the_other(store: Store) -> None:
    put(store, "a", 0, 0, recipe="batch of 4")
    put(store, "a", 0, 5, recipe="batch of 32")
    whole, _ = effects_of_suite(Suite(easy=EASY, hard=HARD), store, seeds=3)
    assert whole.noise.pairs == 1


def test_one_seed_gives_no_variance_between_seeds(store: Store) -> None:
    put(store, "nait", 0, 2)
    put(store, "random", 0, 8)
    noise = effects_of_suite(Suite(), store, seeds=3)[0].noise
    assert (noise.pairs, noise.seed_pairs, noise.seed_sd) == (1, 0, Noise().seed_sd)


def test_runs_of_one_evaluation_are_not_a_pair(store: Store) -> None:
    put(store, "nait", 0, 2)
    (evaluation,) = store.artifacts("evaluations")
    labels = {"selector": "twin", "seed": 0, "trained": True, "model": "m"}
    record_run(store, {"evaluation": evaluation.address}, labels, {"settings": {}})
    assert effects_of_suite(Suite(), store, seeds=3)[0].noise == Noise()


def test_the_look_for_contamination_counts_the_items_too(store: Store) -> None:
    key = {"suite": Suite().key()}
    store.produce(
        "contamination",
        key,
        lambda _: {"hits": 0, COMPARED: {"tasks": {"easy": {"rows": EASY}, "hard": {"rows": HARD}}}},
    )
    whole, part = effects_of_suite(Suite(), store, seeds=1)
    assert (whole.items, part.items) == (30 + HARD, HARD)


def test_outcomes_that_do_not_average_to_the_score_give_no_noise_estimate(store: Store) -> None:
    for method, wrong in (("nait", 2), ("random", 8)):
        put(store, method, 0, wrong)
    for made in store.artifacts("evaluations"):  # as a perplexity, whose items are log-likelihoods
        without_checksums(made.path)
        results = tuple(replace(one, value=20.0) for one in read_results(made.path))
        write_evaluation(made.path, Evaluation(results, read_items(made.path)))
    assert {one.noise.pairs for one in effects_of_suite(Suite(), store, seeds=3)} == {0}
