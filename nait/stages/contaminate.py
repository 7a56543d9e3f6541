"""Contaminate: pool, reference sets and evaluation items in, the texts they share out; kept in the store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nait.core.contamination import Contamination, Hit, as_items
from nait.core.contracts import Evaluator
from nait.core.examples import Pool, Target, fingerprint
from nait.store import Artifact, Store, write_json

VERSION = 1
HITS = "contamination.json"


def contaminate(
    pool: Pool, targets: Sequence[Target], *, evaluator: Evaluator | None, rule: Contamination, store: Store
) -> Artifact:
    """The artifact of all hits: pool and targets among the evaluation's items, the pool among the targets."""
    key = {
        "contamination": VERSION,
        "ngram": rule.ngram,
        "pool": pool.fingerprint,
        "targets": {target.name: target.fingerprint for target in targets},
        "suite": evaluator.key() if evaluator else None,
    }

    def write(part: Path) -> Mapping[str, Any]:
        items = evaluator.items() if evaluator else {}
        references = {target.name: as_items(target) for target in targets}
        hits = rule.compare(pool, {**items, **references})
        for target in targets:
            hits += rule.compare(target, items)
        write_json(part / HITS, [asdict(hit) for hit in hits])
        counts = {task: len(found) for task, found in items.items()}
        return {"hits": len(hits), "items": sum(counts.values()), "tasks": counts}

    return store.produce("contamination", key, write)


def read_hits(artifact: Artifact) -> list[Hit]:
    """The hits that were found."""
    return [Hit(**one) for one in json.loads((artifact.path / HITS).read_text(encoding="utf-8"))]


def describe(hits: Iterable[Hit]) -> list[str]:
    """A line for each pair of sources that share texts: what is said aloud."""
    counts = Counter((hit.rows, hit.other) for hit in hits)
    first: dict[tuple[str, str], Hit] = {}
    for hit in hits:
        first.setdefault((hit.rows, hit.other), hit)
    return [
        f"Contamination: {count} row(s) of {rows} share text with {other}, such as row {first[rows, other].id} "
        f"with {first[rows, other].other_id} ({first[rows, other].kind})."
        for (rows, other), count in counts.items()
    ]


def decontaminated(pool: Pool, hits: Sequence[Hit], targets: Sequence[Target]) -> Pool:
    """The pool without the rows that stand in the evaluation; hits among reference rows stay."""
    names = {target.name for target in targets}
    gone = {hit.id for hit in hits if hit.rows == pool.name and hit.other not in names}
    if not gone:
        return pool
    kept = tuple(example for example in pool.examples if example.id not in gone)
    skipped = {**pool.skipped, "stands in the evaluation": len(pool) - len(kept)}
    return replace(pool, examples=kept, fingerprint=fingerprint(kept), skipped=skipped)
