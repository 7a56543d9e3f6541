"""Time of a training, from its first steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from nait.core.addresses import unit_interval
from nait.core.contracts import Model, Trainer
from nait.core.dataset.examples import Example, Pool
from nait.core.estimates.plans import updates
from nait.core.ranking.selection import Selection
from nait.models.tokens.encoding import encode
from nait.planning.dry_run_doubles import STEPS, StepClock, StopTraining
from nait.planning.inputs import Work
from nait.planning.subsample import updates_rows
from nait.stages.train import train_on
from nait.store import Store


def time_steps(
    work: Work,
    trainer: Trainer,
    count: int,
    selection: Selection | None,
    *,
    model: Model,
    store: Store,
    seconds: float,
) -> tuple[float | None, str]:
    """Seconds of a training on `count` rows, and their origin as text. Timing stops after `seconds` at the latest.

    The rows are the selection's if it is known. Seconds are None for a recipe without a number of steps.
    """
    recipe = trainer.recipe or {}
    rows = _rows(work.pool, selection, min(count, STEPS * updates_rows(recipe)))
    length = _tokens_per_row(rows, work, model) if recipe.get("max_tokens") else 0.0
    steps = updates(recipe, count, tokens_per_row=length)
    if steps is None:
        return None, "unknown: this recipe does not declare its number of steps"
    started = time.monotonic()
    clock = StepClock(started + seconds)
    with suppress(StopTraining):
        train_on(
            rows,
            model=model,
            template=work.template,
            trainer=trainer,
            seed=work.seed,
            store=store,
            tracker=clock,
        )
    times = clock.times
    if len(times) < 2:
        return time.monotonic() - started, f"from {len(times)} step(s)"
    a_step = (times[-1] - times[0]) / (len(times) - 1)
    took = times[0] - started + (steps - 1) * a_step
    return took, f"{steps} steps of {a_step:.3g} s on {count} rows, from {len(times)} of them"


def _tokens_per_row(rows: Sequence[Example], work: Work, model: Model) -> float:
    table = encode(rows, work.template, model.load_tokenizer(), max_length=model.max_length, purpose="train")
    return float(table.lengths.mean())


def _rows(pool: Pool, selection: Selection | None, count: int) -> Sequence[Example]:
    if selection is not None:
        return [pool.examples[row] for row in selection.rows[:count]]
    answered = [example for example in pool.examples if example.answered]
    return sorted(answered, key=lambda example: unit_interval("plan", example.id))[:count]
