"""A word of explanation for the columns of a leaderboard."""

from __future__ import annotations

from collections.abc import Iterable

WORDS = {
    "target": "the capability whose reference rows steer the selection",
    "budget": "how much of the pool is selected",
    "seeds": "runs that differ only in their seed",
    "precision": "share of the selected rows that the labels put in the target",
    "precision each": "precision of an equally large selection by each target's own score, averaged",
    "coverage": "effective number of the targets' skills in the selection over the number in the pool",
    "clean": "share of the selected rows that are well-formed and correct",
    "lookalike": "share of the selected rows that resemble a target without being in it",
    "auc": "probability that the score ranks a row of the target above another row; 0.5 is chance",
    "rho": "Spearman's correlation of score and token length; of several columns and seeds, that furthest from 0",
    "margin": "how clearly the references decide the sign of the direction, 0 to 1; below 0.1 it is a coin toss; "
    "the lowest of the seeds",
    "top layer": "largest share of the score's variance in one layer; the highest of the seeds",
    "select s": "seconds of the selection from an empty store; a process's first result also loads libraries (10 s)",
    "train s": "seconds of the fine-tuning",
    "eval s": "seconds of the evaluation",
}
"""Column -> what its numbers are. Columns of tasks are explained by the note on scores."""


def column_words(header: Iterable[str]) -> list[str]:
    """One note on the columns of this header that have a word of explanation; none for a header without any."""
    known = [f"{name}: {WORDS[name]}" for name in header if name in WORDS]
    return [f"Columns. {'; '.join(known)}."] if known else []
