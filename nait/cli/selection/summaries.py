"""The text at the end of `nait select`: what was chosen, why, at what cost, and what to do next."""

from __future__ import annotations

import shlex
import textwrap

from nait.cli.selection.selection_runs import SelectionRun
from nait.core.dataset.examples import Example

SHOWN = 3
"""Rows that are shown."""
WIDTH = 100
"""Columns of a terminal that every line fits."""
LINE = WIDTH - 12


def ending(run: SelectionRun, file: str) -> str:
    """The text to print after a selection whose rows are in `file`."""
    parts = [_counts(run), _rows(run), _cost(run), _next(run, file)]
    return "\n\n".join(part for part in parts if part)


def _counts(run: SelectionRun) -> str:
    chosen, pool = len(run.selection), len(run.pool)
    tokens = f"{run.selection.answer_tokens:,} answer tokens"
    return f"Selected {chosen:,} of {pool:,} rows ({chosen / pool:.1%}, {tokens}) by {run.job.labels['selector']}."


def _rows(run: SelectionRun) -> str:
    """The first rows in text."""
    table = run.table()
    lines = []
    for rank, row in enumerate(run.selection.rows[:SHOWN], start=1):
        example = run.pool.examples[row]
        scores = ", ".join(f"{value:.3g}" for value in table.values[row][:SHOWN])
        lines += [f"{rank}. row {example.row}, score {scores}", *_shown(example)]
    return "\n".join(lines)


def _shown(example: Example) -> list[str]:
    """Question and answer of a row, a line each."""
    turn = example.turns[-1]
    asked = f"{turn.instruction} {turn.input}".strip()
    return [f"   {name} {_short(text)}" for name, text in (("asked: ", asked), ("answer:", turn.answer))]


def _short(text: str) -> str:
    return textwrap.shorten(" ".join(text.split()), LINE, placeholder=" ...")


def human_seconds(seconds: float) -> str:
    """A duration in human units: "0.4 s", "26 min", "3.2 h"."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _cost(run: SelectionRun) -> str:
    stored = "" if run.fresh else " The scores were in the store."
    return (
        f"Cost: {human_seconds(run.seconds)} now; scoring takes {human_seconds(run.seconds_from_nothing)} from an "
        f"empty store.{stored}"
    )


def _next(run: SelectionRun, file: str) -> str:
    return "\n".join([
        f"Rows:   {file}",
        f"Scores: {run.folder / 'scores.parquet'}",
        f"Next:   nait explain {shlex.quote(run.selection.ids[0])} --in {shlex.quote(str(run.folder))}",
    ])  # fmt: skip
