"""Summaries of a selection and an evaluation for the log and the tracker."""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np

from nait.core.contracts import Tracker
from nait.core.dataset.examples import Pool
from nait.core.estimates.human_units import counted
from nait.core.ranking.score_table import ScoreTable
from nait.core.ranking.selection import Selection
from nait.stages.artifacts.evaluation_files import read_results
from nait.stages.artifacts.score_files import read_ranking
from nait.stages.checks.cut_texts import tokens_text
from nait.stages.select import describe
from nait.store import Artifact, read_json

log = logging.getLogger("nait")

CURVE = "curve.json"
SHOWN_ROWS = 20
SHOWN_CHARACTERS = 500


def log_selection(
    name: str,
    table: ScoreTable,
    scores: Artifact,
    made: Artifact,
    selection: Selection,
    pool: Pool,
    tracker: Tracker,
    *,
    by_score: bool = True,
) -> None:
    """Report counts, diagnostics and histograms of the scores, and the first and last rows of the ranking.

    `by_score`: whether the order ranks by the scores. Diagnostics of ignored scores are omitted.
    """
    chosen = f"{counted(len(selection), 'row')} selected, {tokens_text(made.manifest)}"
    log.info("%s: %s; %s.", name, describe(table), chosen)
    if not by_score:
        log.info("%s: rows are drawn at random, independently of their scores.", name)
    tracker.summary(
        {
            "selected/rows": len(selection),
            "selected/answer_tokens": selection.answer_tokens,
            "selected/truncated": made.manifest["truncated"],
        }
    )
    for target, rho in scores.manifest["length_correlation"].items() if by_score else ():
        if rho is not None:
            tracker.summary({f"rho/{target}": rho})
            log.info("%s: Spearman's rho of the score with token length: %s", target, rho)
    for target, facts in scores.manifest["diagnostics"].items() if by_score else ():
        log.debug("%s: %s", target, json.dumps(facts))
    for target in table.targets:
        values = table.column(target)
        tracker.histogram(f"scores/{target}", np.asarray(values[np.isfinite(values)]))
    places = {key: row for row, key in enumerate(pool.ids)}
    ranking = read_ranking(made)
    for title, keys in (("top", ranking[:SHOWN_ROWS]), ("bottom", ranking[-SHOWN_ROWS:])):
        rows = [_show(pool, places[key], table.values) for key in keys]
        tracker.table(f"examples/{title}", ["id", "scores", "instruction", "answer"], rows)


def _show(pool: Pool, row: int, values: Any) -> list[Any]:
    example = pool.examples[row]
    turn = example.turns[0]
    scores = " ".join(f"{value:.4g}" for value in values[row])
    asked = f"{turn.instruction}\n{turn.input}".strip()
    return [example.id, scores, asked[:SHOWN_CHARACTERS], turn.answer[:SHOWN_CHARACTERS]]


def log_truth(truth: dict[str, float], tracker: Tracker) -> None:
    """Report the quality of the selection by the rows' labels; do nothing without any."""
    if not truth:
        return
    tracker.summary({f"truth/{name}": value for name, value in truth.items()})
    log.info("By the labels: %s.", ", ".join(f"{name} {value:.2f}" for name, value in truth.items()))


def log_training(adapter: Artifact, tracker: Tracker) -> None:
    """Report the loss curve of a training that the store already had. A new training reports it step by step."""
    file = adapter.path / CURVE
    if adapter.fresh or not file.is_file():
        return
    for row in read_json(file):
        tracker.log(
            {name: value for name, value in row.items() if name != "step"}, phase="train", step=row["step"]
        )


def log_evaluation(evaluation: Artifact, tracker: Tracker) -> None:
    """Report each task's primary metric and a table of all metrics."""
    results = read_results(evaluation.path)
    for r in results:
        if r.primary:
            place = f"{r.task}/{r.metric}"
            found = {f"eval/{place}": r.value, f"stderr/{place}": r.stderr, f"items/{place}": r.n}
            tracker.summary({name: value for name, value in found.items() if value is not None})
    columns = ["task", "metric", "filter", "value", "stderr", "n"]
    tracker.table("evaluation", columns, [[getattr(r, column) for column in columns] for r in results])
