"""Train stage: an adapter fine-tuned on selected rows.

The adapter's key contains the selected rows, the model, the template, the recipe and the seed, but not the method:
two methods that select the same rows share one training. Where several processes each draw dropout, their number is
in the key too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nait.core.addresses import unit_interval
from nait.core.contracts import Model, PoolTrainer, Tracker, Trainer
from nait.core.dataset.examples import Example, Pool, fingerprint
from nait.core.ranking.selection import Selection
from nait.models.prompts.templates import Template
from nait.models.tokens.encoding import encode
from nait.store import Artifact, Store

VERSION = 1
SAMPLE = 2000
"""Rows that are tokenized to estimate the tokens of a pool."""


def train(
    selection: Selection,
    pool: Pool,
    *,
    model: Model,
    template: Template,
    trainer: Trainer,
    seed: int,
    store: Store,
    tracker: Tracker,
) -> Artifact | None:
    """The `adapters` artifact; None for a recipe without training."""
    return train_on(
        [pool.examples[row] for row in selection.rows],
        model=model, template=template, trainer=trainer, seed=seed, store=store, tracker=tracker,
    )  # fmt: skip


def train_on(
    rows: Iterable[Example],
    *,
    model: Model,
    template: Template,
    trainer: Trainer,
    seed: int,
    store: Store,
    tracker: Tracker,
) -> Artifact | None:
    """The `adapters` artifact of a training on these rows; None for a recipe without training."""
    if trainer.recipe is None:
        return None
    # In id order: training depends on the set of rows, not on their ranks.
    examples = tuple(sorted(rows, key=lambda example: example.id))
    key = {
        "adapter": VERSION,
        "rows": fingerprint(examples),
        "model": model.fingerprint,
        "max_length": model.max_length,
        "template": template.digest,
        "recipe": trainer.recipe,
        "seed": seed,
        **drawn_by(trainer, model),
    }

    def write(part: Path) -> Mapping[str, Any]:
        table = encode(
            examples,
            template,
            model.load_tokenizer(),
            max_length=model.max_length,
            purpose="train",
            vocabulary=model.vocabulary(),
        )
        facts = trainer.train(model, table, part, seed=seed, tracker=tracker)
        return {
            "rows": len(table),
            "tokens": int(table.starts[-1]),
            "truncated": int(table.truncated.sum()),
            **facts,
        }

    return store.produce("adapters", key, write)


def drawn_by(trainer: Trainer, model: Model) -> dict[str, int]:
    """The entry of an adapter's key for several processes that draw at random; {} if their number decides nothing."""
    count = getattr(trainer, "processes", None)
    processes = 1 if count is None else int(count(model))
    return {"processes": processes} if processes > 1 else {}


def for_pool(trainer: Trainer, pool: Pool, *, model: Model, template: Template) -> Trainer:
    """The trainer, with the length of its training as it follows from the pool; itself if it does not."""
    if not isinstance(trainer, PoolTrainer):
        return trainer
    answered = [example for example in pool.examples if example.answered]

    def tokens_per_row() -> float:
        sample = sorted(answered, key=lambda example: unit_interval("train.budget", example.id))[:SAMPLE]
        table = encode(sample, template, model.load_tokenizer(), max_length=model.max_length, purpose="train")
        return float(table.lengths.mean())

    return trainer.for_pool(len(pool), tokens_per_row)


def cut_rows(manifest: Mapping[str, Any]) -> list[str]:
    """Warning for trained rows whose answers are truncated at the length limit; none without such rows.

    `manifest`: that of an `adapters` artifact.
    """
    if not manifest.get("truncated"):
        return []
    return [
        f"{manifest['truncated']} of {manifest['rows']} trained rows are longer than model.max_length="
        f"{manifest['key']['max_length']}: their answers are trained without their ends and end tokens. "
        "Raise model.max_length, or leave such rows out."
    ]
