"""Tests of the paper's claims on transfer (NAIT, arXiv 2603.13201) as contrasts between runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nait.core.statistics.results import Row
from nait.sweeps.analyses.transfer import ALL, Matrix
from nait.sweeps.stats.contrasts import Items, Term, by_seed, controls, strata
from nait.sweeps.stats.paired import ITEMS_ONLY, Difference, Stratum, adjusted_family, estimate
from nait.sweeps.stats.seed_spread import column


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, its verdict and the estimated difference."""

    text: str
    verdict: str
    found: Difference
    about: str = ""


def claims(
    matrices: Sequence[Matrix], rows: Sequence[Row], items: Items, *, reasoning: Sequence[str], control: str
) -> list[tuple[Matrix, Claim]]:
    """The verdict on each claim that these runs can test. Holm's correction covers all claims of a report.

    "A single direction beats all merged" is tested for each single direction; the best one is reported.
    """
    asked = [
        (matrix, text, about, name, found)
        for matrix in matrices
        for text, about, name, found in _tests(_MatrixRuns(matrix, rows, items, control), reasoning)
    ]
    family = adjusted_family(found for *_, found in asked)
    kept: dict[tuple[int, str], tuple[Matrix, Claim]] = {}
    for (matrix, text, about, name, _), found in zip(asked, family, strict=True):
        key = (id(matrix), text)
        if key not in kept or found.value > kept[key][1].found.value:
            detail = f"the best is {name}" if name else about
            kept[key] = (matrix, Claim(text, verdict(found), found, detail))
    return list(kept.values())


def _tests(scene: _MatrixRuns, reasoning: Sequence[str]) -> list[tuple[str, str, str, Difference]]:
    """(claim, directions it is about, tested direction, difference) of each test."""
    about = ", ".join(name for name in scene.matrix.singles if name in reasoning)
    asked = [
        ("A direction beats random on its own benchmark", "", scene.own_against_control()),
        (
            "The diagonal wins: on each benchmark its own direction beats the others",
            "",
            scene.own_against_others(),
        ),
        (
            "Reasoning and code directions transfer best: on others' benchmarks they beat the other directions",
            about,
            scene.transfer(set(reasoning)),
        ),
    ]
    found = [(text, about, "", estimate(part)) for text, about, part in asked if part]
    merged = [
        (f"A single direction beats all directions merged{_way(way)}", "", name, one)
        for way in scene.matrix.merged
        for name, one in _singles_against(scene, way).items()
    ]
    return [*found, *merged]


def _way(row: str) -> str:
    """The way of merging of a row, if there are several."""
    return f" ({row.removeprefix(ALL + ', ')})" if row != ALL else ""


def verdict(found: Difference) -> str:
    """yes, no or not significant; not tested for a single seed."""
    if not found.tested:
        return f"not tested ({ITEMS_ONLY})"
    return "not significant" if not found.significant else "yes" if found.value > 0 else "no"


def _singles_against(scene: _MatrixRuns, merged: str) -> dict[str, Difference]:
    """Each single direction minus the row `merged`, over all benchmarks."""
    parts = {name: part for name in scene.matrix.singles if (part := scene.against(name, merged))}
    same_seeds = len({len(part[0].d_si) for part in parts.values()}) == 1
    sides = column(parts) if same_seeds else {}
    return {name: estimate(part, sides=sides.get(name)) for name, part in parts.items()}


@dataclass(frozen=True)
class _MatrixRuns:
    """A transfer matrix with its runs."""

    matrix: Matrix
    rows: Sequence[Row]
    items: Items
    control: str

    def runs(self, target: str, task: str) -> list[Row]:
        wanted = (
            self.matrix.model,
            self.matrix.selectors.get(target, self.matrix.selector),
            self.matrix.budget,
            self.matrix.targets[target],
            task,
        )
        return [r for r in self.rows if (r.model, r.selector, r.budget, r.target, r.task) == wanted]

    def contrast(self, weights: Mapping[str, Mapping[str, float]], *, control: bool = False) -> list[Stratum]:
        """The contrast of task -> target -> weight, all tasks with equal weight; `control`: minus the control.

        Signs are flipped where lower is better. Only seeds that all of these runs share are used, since the mean of a
        seed is taken over all tasks.
        """
        sides = {task: self._terms(task, terms, control=control) for task, terms in weights.items()}
        if not sides or not all(sides.values()):
            return []
        seeds = set.intersection(*(set(runs) for terms in sides.values() for _, runs in terms))
        found: list[Stratum] = []
        for terms in sides.values():
            shared = [(weight, {seed: runs[seed] for seed in seeds}) for weight, runs in terms]
            sign = 1 if next(iter(terms[0][1].values())).higher_is_better else -1
            part = strata(shared, self.items, weight=sign / len(weights))
            if part is None:
                return []
            found += part
        return found

    def _terms(self, task: str, weights: Mapping[str, float], *, control: bool) -> list[Term]:
        """The weighted runs of each target on a task; empty where a target has no run."""
        runs = {target: self.runs(target, task) for target in weights}
        if not all(runs.values()):
            return []
        terms: list[Term] = [(weights[target], by_seed(own)) for target, own in runs.items()]
        if control:
            terms.append((-1.0, by_seed(controls(next(iter(runs.values())), self.rows, self.control))))
        return terms

    def owners(self) -> dict[str, list[str]]:
        """Task -> its own single targets, for tasks with any."""
        singles = self.matrix.singles
        owned = {
            task: [name for name in singles if (name, task) in self.matrix.own] for task in self.matrix.tasks
        }
        return {task: names for task, names in owned.items() if names}

    def own_against_control(self) -> list[Stratum]:
        return self.contrast(
            {task: _share(names, 1.0) for task, names in self.owners().items()}, control=True
        )

    def own_against_others(self) -> list[Stratum]:
        weights = {}
        for task, names in self.owners().items():
            others = [name for name in self.matrix.singles if name not in names]
            if others:
                weights[task] = {**_share(names, 1.0), **_share(others, -1.0)}
        return self.contrast(weights)

    def transfer(self, reasoning: set[str]) -> list[Stratum]:
        weights = {}
        for task in self.matrix.tasks:
            away = [name for name in self.matrix.singles if (name, task) not in self.matrix.own]
            ours = [name for name in away if name in reasoning]
            others = [name for name in away if name not in reasoning]
            if ours and others:
                weights[task] = {**_share(ours, 1.0), **_share(others, -1.0)}
        return self.contrast(weights)

    def against(self, one: str, other: str) -> list[Stratum]:
        return self.contrast({task: {one: 1.0, other: -1.0} for task in self.matrix.tasks})


def _share(names: Sequence[str], total: float) -> dict[str, float]:
    return {name: total / len(names) for name in names}
