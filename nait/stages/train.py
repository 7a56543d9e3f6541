"""Train: a selection in, an adapter out.

The adapter's address holds the selected rows themselves, the model, the template, the recipe and the seed, and
nothing of the method: two methods that choose the same rows train once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nait.core.contracts import Model, Tracker, Trainer
from nait.core.examples import Pool, fingerprint
from nait.core.selection import Selection
from nait.models.encode import encode
from nait.models.templates import Template
from nait.store import Artifact, Store

VERSION = 1


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
    """The adapter's artifact; None when the recipe trains nothing."""
    if trainer.recipe is None:
        return None
    # In id order: what is trained depends on the set of rows, not on how a method ranked them.
    examples = tuple(pool.examples[row] for row in sorted(selection.rows))
    key = {
        "adapter": VERSION,
        "rows": fingerprint(examples),
        "model": model.fingerprint,
        "max_length": model.max_length,
        "template": template.digest,
        "recipe": trainer.recipe,
        "seed": seed,
    }

    def write(part: Path) -> Mapping[str, Any]:
        rows = encode(
            examples, template, model.load_tokenizer(), max_length=model.max_length, purpose="train"
        )
        facts = trainer.train(model, rows, part, seed=seed, tracker=tracker)
        return {
            "rows": len(rows),
            "tokens": int(rows.starts[-1]),
            "truncated": int(rows.truncated.sum()),
            **facts,
        }

    return store.produce("adapters", key, write)
