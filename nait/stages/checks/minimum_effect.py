"""Power analysis of an evaluation suite: the minimum detectable effect.

Disagreement between methods and its spread over seeds come from earlier evaluations in the store, each as the median
over pairs of methods. Values that the store does not have are assumed and reported as such.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.addresses import canonical
from nait.core.contracts import Evaluator, Sizes
from nait.core.statistics.power import Comparisons, Detectable, Noise, minimum_effects
from nait.stages.artifacts.evaluation_files import read_outcomes, read_results
from nait.stages.checks.contamination_text import evaluated
from nait.store import Artifact, Store

MOST_METHODS = 12
"""The number of methods, latest first, that are compared in pairs."""
Outcomes = Mapping[tuple[str, int], float]
"""(task, document) -> the value of the task's main metric."""
Method = dict[int, Artifact]
"""A method's evaluations by seed."""


def effects_of_suite(
    evaluator: Evaluator, store: Store, *, seeds: int, methods: int = 1
) -> tuple[Detectable, ...]:
    """Minimum detectable effects with this number of seeds; empty where the number of items is unknown.

    Empty also for held-out rows: what is assumed here is a share of right items, and their result is a loss.

    `methods`: how many methods are compared with the control, each on every benchmark of the suite.
    """
    suite = canonical(evaluator.key())
    if "held_out" in suite:
        return ()
    earlier = [one for one in store.artifacts("evaluations") if one.manifest["key"]["suite"] == suite]
    items = _item_counts(evaluator, suite, earlier, store)
    comparisons = Comparisons(methods, methods * (_benchmarks(suite) or len(items) or 1))
    whole = minimum_effects(items, seeds, {}, comparisons)
    if not whole or not earlier:
        return whole
    earlier_methods = list(_methods(store, {one.address for one in earlier}).values())[-MOST_METHODS:]
    seen = {one.address: _outcomes(one) for method in earlier_methods for one in method.values()}
    scopes = {"": set(items), **{one.of: {one.of} for one in whole[1:]}}
    noises = {name: _noise(earlier_methods, seen, tasks) for name, tasks in scopes.items()}
    return minimum_effects(items, seeds, noises, comparisons)


def _benchmarks(suite: Mapping[str, Any]) -> int:
    """The number of requested benchmarks. A tag counts its tasks: at most all that are not requested themselves."""
    asked, tasks = set(suite.get("requested", ())), set(suite.get("tasks", ()))
    named = asked & (tasks | set(suite.get("means", ())))
    return len(asked) if named == asked or not tasks else len(named) + len(tasks - named)


def _item_counts(
    evaluator: Evaluator, suite: Any, earlier: Sequence[Artifact], store: Store
) -> Mapping[str, int]:
    """Task -> items: from its definition, an earlier evaluation or a contamination check; empty if unknown."""
    if isinstance(evaluator, Sizes) and (sizes := evaluator.sizes()):
        return sizes
    if earlier:
        return {one.task: one.n for one in read_results(earlier[-1].path) if not one.is_group}
    checks = [one for one in store.artifacts("contamination") if one.manifest["key"]["suite"] == suite]
    return evaluated(checks[-1].manifest) if checks else {}


def _methods(store: Store, evaluations: set[str]) -> dict[str, Method]:
    """Runs of trained models with one of these evaluations, grouped by everything but their seed."""
    found: dict[str, Method] = {}
    for run in store.artifacts("runs"):
        labels: dict[str, Any] = dict(run.manifest["labels"])
        seed, address = labels.pop("seed"), str(run.manifest["links"].get("evaluation"))
        evaluation = store.find("evaluations", address) if address in evaluations else None
        if labels["trained"] and evaluation is not None:
            recorded = [run.manifest.get(name) for name in ("settings", "training", "fingerprints")]
            name = json.dumps([labels, *recorded], sort_keys=True)
            found.setdefault(name, {})[seed] = evaluation
    return found


def _outcomes(evaluation: Artifact) -> Outcomes:
    main = {(one.task, one.metric, one.filter) for one in read_results(evaluation.path) if one.primary}
    items = read_outcomes(evaluation.path)
    return {(i.task, i.doc_id): i.value for i in items if (i.task, i.metric, i.filter) in main}


def _noise(methods: Sequence[Method], seen: Mapping[str, Outcomes], tasks: set[str]) -> Noise:
    """Noise between methods on the items of these tasks, as medians over pairs."""
    pairs = [d_si for a, b in combinations(methods, 2) for d_si in _differences(a, b, seen, tasks)]
    several = [d_si for d_si in pairs if len(d_si) > 1]
    spreads = [float(d_si.mean(axis=1).std(ddof=1)) for d_si in several]
    lasting = [_lasting(d_si) for d_si in several]
    assumed = Noise()
    return Noise(
        median(float((d_si**2).mean()) for d_si in pairs) if pairs else assumed.disagreement,
        median(spreads) if spreads else assumed.seed_sd,
        len(pairs),
        len(spreads),
        median(lasting) if lasting else assumed.lasting,
    )


def _lasting(d_si: npt.NDArray[np.float64]) -> float:
    """Share of the disagreement [S, I] that is constant over seeds."""
    seeds, items = d_si.shape
    whole = float((d_si**2).mean())
    if items < 2 or whole == 0.0:
        return 1.0
    rest = d_si - d_si.mean(axis=0) - d_si.mean(axis=1, keepdims=True) + d_si.mean()
    passing = float((rest**2).sum() / ((seeds - 1) * (items - 1)))
    return min(1.0, max(0.0, 1 - passing / whole))


def _differences(
    a: Method, b: Method, seen: Mapping[str, Outcomes], tasks: set[str]
) -> Iterator[npt.NDArray[np.float64]]:
    """Differences [S, I] of two methods on shared seeds and items; none if they share none, or share runs."""
    seeds = sorted(seed for seed in a if seed in b and a[seed].address != b[seed].address)
    ours, theirs = ([seen[method[seed].address] for seed in seeds] for method in (a, b))
    if seeds:
        shared = set.intersection(*(set(one) for one in (*ours, *theirs)))
        places = sorted(place for place in shared if place[0] in tasks)
        if places:
            values = [[[one[place] for place in places] for one in side] for side in (ours, theirs)]
            yield np.subtract(*np.asarray(values))
