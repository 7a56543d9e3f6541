"""The section of the report on what scores predict, and its CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from nait.core.inputs.spreadsheets import inert
from nait.sweeps.grouping.names import some
from nait.sweeps.render.leaderboard_tables import seconds
from nait.sweeps.render.report_document import Block, Notes, Table
from nait.sweeps.render.svg import picture
from nait.sweeps.stats.target_benchmarks import Benchmarks
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.validity.lds_plot import lds_plot
from nait.sweeps.validity.lds_statistics import (
    LEAST_SUBSETS,
    Prediction,
    ceiling,
    results,
    smallest_detectable,
)
from nait.sweeps.validity.method_scores import MethodScores, Validity, validity_of
from nait.sweeps.validity.trained_subsets import TrainedSubsets, trained_subsets

NAME = "validity"


def validities(runs: RunSet, benchmarks: Benchmarks) -> list[Validity]:
    """One result for each group of trained subsets with enough subsets and a method to measure."""
    found = [
        validity_of(runs, one, benchmarks)
        for one in trained_subsets(runs)
        if len(one.numbers) >= LEAST_SUBSETS and one.benchmarks
    ]
    return [one for one in found if one.methods]


def unmeasured(runs: RunSet) -> list[str]:
    """A note for each group of subsets that is too small, or that has no benchmark with items."""
    found = trained_subsets(runs)
    few = [
        f"{len(one.numbers)} random subsets were trained; what scores predict is measured from {LEAST_SUBSETS} on."
        for one in found
        if len(one.numbers) < LEAST_SUBSETS
    ]
    return few + [note for one in found if not one.benchmarks for note in _without_items(one)]


def _without_items(subsets: TrainedSubsets) -> list[str]:
    """A note on the benchmarks that have no outcomes of single items."""
    if not subsets.without_items:
        return []
    return [
        f"Not measured on {some(subsets.without_items)}: the result is not a mean over items that all subsets share."
    ]


def validity_blocks(found: Sequence[Validity]) -> tuple[Block, ...]:
    """Figure, tables and notes of each group of subsets."""
    blocks: list[Block] = []
    for k, one in enumerate(found, 1):
        mark = f"-{k}" if len(found) > 1 else ""
        alt = (
            "Linear datamodelling score of each method with its 95 % interval, best mean first; filled: the interval "
            "excludes 0; dotted: the ceiling; last line: the control."
        )
        blocks += [
            picture(NAME + mark, lds_plot(one), alt), lds_table(one, NAME + mark),
            _recall_table(one, f"recall{mark}"), _benchmark_table(one, f"validity-benchmarks{mark}"),
            Notes(tuple(notes(one))),
        ]  # fmt: skip
    return tuple(blocks)


def lds_table(found: Validity, name: str) -> Table:
    """Methods by benchmarks."""
    tasks = list(found.subsets.benchmarks)
    lines = [*found.methods, *([found.control] if found.control else [])]
    body = [
        [one.name, *([_shown(one.mean)] if len(tasks) > 1 else []), *(_shown(one.lds.get(task)) for task in tasks),
         _predicted_by(one, found), seconds(one.seconds)]
        for one in lines
    ]  # fmt: skip
    header = ["selector", *(["mean"] if len(tasks) > 1 else []), *tasks, "predicted by", "select s"]
    caption = (
        "Linear datamodelling score: Spearman's rho, over random subsets, between what the method predicts of a "
        "subset and the benchmark's result after training on it; 95 % interval over subsets and items. A benchmark "
        "is predicted by the column of its own target."
    )
    return Table.of(name, header, body, caption=caption)


def _predicted_by(one: MethodScores, found: Validity) -> str:
    if one is found.control:
        return "control"
    return "mean rank" if one.by_rank else "sum of scores"


def _shown(one: Prediction | None) -> str:
    if one is None:
        return ""
    return f"{one.rho:+z.2f} [{one.low:+z.2f}, {one.high:+z.2f}]{'' if one.significant else ' n.s.'}"


def _recall_table(found: Validity, name: str) -> Table:
    tasks = [task for task in found.subsets.benchmarks if any(task in one.recall for one in found.methods)]
    body = [
        [one.name, *(f"{one.recall[task]:.2f}" if task in one.recall else "" for task in tasks)]
        for one in found.methods
    ]
    caption = (
        "Recall@k of the ground truth: the share of the k rows of the benchmark's own target in the pool that are "
        "among the method's k best rows."
    )
    return Table.of(name, ["selector", *tasks], body if tasks else [], caption=caption)


def _benchmark_table(found: Validity, name: str) -> Table:
    body = []
    for task, strata in found.subsets.benchmarks.items():
        values = abs(results(strata))
        reliability = found.reliability[task]
        most = ceiling(reliability)
        body.append([
            task, found.subsets.items[task], f"{values.mean():.3f}", f"{values.min():.3f} to {values.max():.3f}",
            f"{values.std(ddof=1):.3f}", f"{reliability:.2f}", "unknown" if most is None else f"{most:.2f}",
        ])  # fmt: skip
    header = ["benchmark", "items", "mean", "range", "spread", "reliability", "ceiling"]
    caption = (
        "Results of the random subsets. Reliability: the correlation of two halves of the items, for the full number "
        "of items. Ceiling: its square root, which a perfect prediction would reach; unknown where the halves do not "
        "agree at all."
    )
    return Table.of(name, header, body, caption=caption)


def notes(found: Validity) -> list[str]:
    """What was measured, how, at what cost, and what it cannot tell."""
    subsets = found.subsets
    count = len(subsets.numbers)
    rows = sum(map(len, subsets.chosen)) / count
    ranked = [one.name for one in found.methods if one.by_rank]
    lacking = [f"{one.name} ({one.unscored:,})" for one in found.methods if one.unscored]
    told = [
        f"{count} random subsets of {rows:,.0f} rows ({subsets.budget}), in which clusters of similar texts have "
        f"random weights. Each was trained {_times(subsets.seeds)}, in {subsets.seconds:,.0f} s altogether; all "
        "methods share them.",
        f"With {count} subsets, the smallest true correlation that is found with power 0.8 is "
        f"{smallest_detectable(count):.2f}.",
        "The ceiling is of noise over items alone. Training noise, which differs between seeds, lowers what is "
        "attainable further.",
    ]
    equal = [task for task, strata in subsets.benchmarks.items() if np.ptp(results(strata)) == 0.0]
    if equal:
        told.append(f"All subsets have the same result on {some(equal)}: no correlation is defined.")
    constant = [one.name for one in found.methods if one.lds and one.mean is None]
    if constant:
        told.append(f"No mean for {some(constant)}: on a benchmark, all subsets have one prediction.")
    if ranked:
        told.append(
            f"Sums of scores have no meaning for {', '.join(ranked)}: predicted by the mean rank of the rows."
        )
    if lacking:
        told.append(f"Rows without a score have the method's lowest: {', '.join(lacking)} rows.")
    told += _without_items(subsets)
    if found.left_out:
        told.append(f"Not measured, because of an order of another package: {some(found.left_out)}.")
    return told


def _times(seeds: int) -> str:
    return "once" if seeds == 1 else f"with {seeds} seeds"


def validity_csv(found: Sequence[Validity]) -> str:
    """CSV with one row per method and benchmark; empty numbers where a correlation is undefined."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["model", "pool", "budget", "subsets", "selector", "benchmark", "lds", "low", "high", "recall",
                     "reliability", "predicted_by", "unscored", "seconds_select"])  # fmt: skip
    for one in found:
        head, subsets = one.subsets.head, one.subsets
        for line in [*one.methods, *([one.control] if one.control else [])]:
            for task in subsets.benchmarks:
                cell = line.lds.get(task)
                numbers = [cell.rho, cell.low, cell.high] if cell else ["", "", ""]
                writer.writerow(map(inert, [
                    head.model, head.pool, subsets.budget, len(subsets.numbers), line.name, task, *numbers,
                    line.recall.get(task), one.reliability[task], _predicted_by(line, one), line.unscored,
                    line.seconds,
                ]))  # fmt: skip
    return stream.getvalue()
