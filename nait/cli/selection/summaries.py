"""The text at the end of `nait select`: what was chosen, why, at what cost, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from nait.cli.selection.exported_rows import scores_place
from nait.cli.selection.row_texts import row_line, row_lines, row_name, wrapped
from nait.cli.selection.selection_runs import SelectionRun
from nait.core.dataset.examples import Example
from nait.core.estimates.human_units import human_seconds
from nait.core.ranking.orders import by_target
from nait.core.ranking.score_table import ScoreTable
from nait.stages.checks.cut_texts import tokens_text
from nait.stages.explanations import Explanation
from nait.stages.stability import are_references

SHOWN = 3
"""Rows that are shown."""
LAYERS = 5
"""The most layers that are shown."""


def ending(run: SelectionRun, file: str) -> str:
    """The text to print after a selection whose rows are in `file`."""
    stable = run.stability.sentence() if run.stability else ""
    first = explained_text(run, run.selection.ids[0]) if run.selection.ids else ""
    parts = [_counts(run), _rows(run), first, wrapped(stable), *_warnings(run), _cost(run), _next(run, file)]
    return "\n\n".join(part for part in parts if part)


def _counts(run: SelectionRun) -> str:
    chosen, pool = len(run.selection), len(run.pool)
    tokens = tokens_text(run.made.manifest)
    return f"Selected {chosen:,} of {pool:,} rows ({chosen / pool:.1%}, {tokens}) by {run.job.labels['selector']}."


def _rows(run: SelectionRun) -> str:
    """The first rows in text."""
    table = run.scored.table
    references = run.scored.reference_ids
    lines = []
    for rank, row in enumerate(run.selection.rows[:SHOWN], start=1):
        example = run.pool.examples[row]
        name = row_name(example.row, example.id if example.has_own_id else "")
        lines += [f"{rank}. row {name}, {scores_text(table, row, references)}", *row_lines(example)]
    return "\n".join(lines)


def scores_text(table: ScoreTable, row: int, references: Collection[str]) -> str:
    """A row's score, or that for each target: of several columns, the highest.

    `references`: ids of the reference rows.
    """
    parts = []
    targets = by_target(table.targets)
    for target, columns in targets.items():
        highest = f"{np.fmax.reduce(table.values[row, columns]):.4g}"
        of = _of(len(columns), are_references([table.targets[column] for column in columns], references))
        parts.append(f"{target} {highest}{of}" if len(targets) > 1 else f"{highest}{of}")
    return f"score {', '.join(parts)}"


def _of(columns: int, of_references: bool) -> str:
    """Of what a score is the highest; empty for that of one column."""
    return (
        f" (highest of {columns} {'reference rows' if of_references else 'columns'})" if columns > 1 else ""
    )


def _warnings(run: SelectionRun) -> list[str]:
    return [wrapped(f"Warning: {text}") for text in run.warnings]


NOT_BY_SCORE = (
    "This order does not follow the score alone, so the rank and the share of lower scores may disagree."
)


def explained_text(run: SelectionRun, row: str) -> str:
    """Why a row is selected or not, in lines."""
    references = {example.id: example for target in run.job.targets for example in target.examples}
    return "\n".join(line for one in run.explained(row) for line in _explained(one, references))


def _explained(one: Explanation, references: Mapping[str, Example]) -> list[str]:
    name = row_name(one.row, one.id if one.has_own_id else "")
    chosen = f"Row {name} {'is' if one.selected else 'is not'} selected"
    if one.score is None or one.percentile is None:
        return [f"{chosen}: {one.reason or 'it has no score'}."]
    rank = f"rank {one.rank:,}" if one.rank else ""
    of = _of(one.columns, one.of_references)
    score = f"score {one.score:z.4g}{of}, above {one.percentile:.1%} of the rows"
    if one.rank and not one.by_score:  # perhaps for another target
        lines = [f"{chosen}: {rank}. For {one.target}: {score}.", f"  {NOT_BY_SCORE}"]
    else:
        lines = [f"{chosen} for {one.target}: {rank}{', ' if rank else ''}{score}."]
    if one.needed is not None and not one.selected:
        lines.append(f"  The last selected row has {one.needed:.4g}: {_missing(one.needed - one.score)}.")
    if one.layers:
        parts = sorted(one.layers.items(), key=lambda pair: -abs(pair[1]))[:LAYERS]
        shown = ", ".join(f"layer {layer} {part:+z.3g}" for layer, part in parts)
        lines.append(f"  Largest parts of its distance from the mean row: {shown}.")
    text = [wrapped(line) for line in lines]
    if one.nearest:
        text.append("  Nearest reference rows:")
        text += [f"  {value:z6.2f}  {_reference(name, references)}" for name, value in one.nearest]
    return text


def _missing(difference: float) -> str:
    """What a row's score lacks; rows with equal scores are ranked by id."""
    if difference == 0:
        return "as much, and ids decide between equal scores"
    return f"{abs(difference):.4g} {'more' if difference > 0 else 'less'} was needed"


def _reference(name: str, references: Mapping[str, Example]) -> str:
    """A reference row in text; its id where the text is not known, as with exported directions."""
    return row_line(references[name]) if name in references else name


def _cost(run: SelectionRun) -> str:
    stored = "" if run.fresh else " The scores were in the store."
    return (
        f"Cost: {human_seconds(run.seconds)} now; scoring takes {human_seconds(run.seconds_from_nothing)} from an "
        f"empty store.{stored}"
    )


def _next(run: SelectionRun, file: str) -> str:
    beside = scores_place(Path(file))
    own = Path(file) == run.folder / "selected.jsonl"  # without --out
    return "\n".join([
        f"Rows:   {file}",
        f"Scores: {run.folder / 'scores.parquet' if own else beside}",
        f"Why:    nait explain ROW --in {shlex.quote(str(run.folder))}",
        "Train:  TRL, Axolotl and LLaMA-Factory load this file; or 'stages=[select,train,evaluate]'.",
    ])  # fmt: skip
