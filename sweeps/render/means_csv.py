"""The leaderboard's lines as CSV: means over seeds with intervals, differences to the control, and costs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from nait.core.inputs.spreadsheets import inert
from nait.sweeps.stats.aggregates import Line

HEADER = (
    "table", "selector", "target", "budget", "task", "metric", "value", "half_width", "seeds", "items", "control",
    "difference", "low", "high", "p", "significant", "selected_rows", "seconds_select", "seconds_train",
    "seconds_evaluate", "device_hours", "money", "currency",
)  # fmt: skip


def as_means_csv(tables: Sequence[Sequence[Line]], *, control: str) -> str:
    """One row per line of each table. Intervals: 95 %, `value` ± `half_width` and `low` to `high`.

    `p`: Holm's; empty for a difference of one seed, which is not tested. No cell is a formula.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    for number, lines in enumerate(tables, 1):
        for line in lines:
            writer.writerow(map(inert, [number, *_cells(line, control)]))
    return stream.getvalue()


def _cells(line: Line, control: str) -> list[object]:
    found = line.difference
    compared: list[object] = [None] * 5
    if found:
        p = found.p if found.adjusted is None else found.adjusted
        verdict = [p, found.significant] if found.tested else [None, False]
        compared = [found.value, found.low, found.high, *verdict]
    value = None if math.isnan(line.value) else line.value
    return [
        line.selector, line.target, line.budget, line.task, line.metric, value, line.half_width, line.seeds, line.n,
        control, *compared, line.selected_rows, line.seconds_select, line.seconds_train, line.seconds_evaluate,
        line.device_hours, line.money, line.currency,
    ]  # fmt: skip
