"""Detection of contamination: texts that the pool or a reference set shares with the evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nait.core.contracts import Evaluator
from nait.core.dataset.contamination import (
    Contamination,
    Hit,
    Side,
    as_evaluation_texts,
    comparable,
    side_of,
    texts_of,
)
from nait.core.dataset.examples import Pool, Target, fingerprint
from nait.core.errors import DataError
from nait.stages.checks.contamination_text import COMPARED, NO_EVALUATION, describe, describe_check
from nait.store import Artifact, Store, reading, write_json

VERSION = 3
"""Version of the check. Since 2, hits name the role of both sides, short texts are found inside longer ones, and the
artifact counts what was compared. Since 3, a text is compared with every item that has it, not with the first one."""
LIMIT_VERSION = 1
"""Version of the check of an evaluation with a limit. Since 1, items beyond the limit are marked, and a row may match
one item within the limit and one beyond it."""
HITS = "contamination.json"
FINDINGS = "said"
"""The field of a run's manifest that holds the findings as text."""
UNCHECKED = "Contamination was not checked: contamination=null."


@dataclass(frozen=True)
class ContaminationCheck:
    """The outcome of a check. Without a check (`rule` is None), `artifact` is None and there are no hits."""

    rule: Contamination | None
    pool: Pool
    targets: Sequence[Target]
    evaluated: bool
    artifact: Artifact | None = None
    hits: Sequence[Hit] = ()

    @property
    def excludes(self) -> bool:
        """Whether the pool's rows that are in the evaluation are excluded."""
        return self.rule is not None and self.rule.exclude and self.evaluated

    def findings(self) -> list[str]:
        """What was compared, what was not, and whether it was clean."""
        return describe_check(self.artifact.manifest) if self.artifact else [UNCHECKED]

    def record(self) -> dict[str, Any]:
        """The entry of a run's manifest."""
        if self.artifact is None:
            return {"checked": False, FINDINGS: self.findings()}
        counts = self.artifact.manifest[COMPARED]
        return {"checked": True, "hits": len(self.hits), FINDINGS: self.findings(), **counts}

    def warnings(self) -> list[str]:
        """Warnings: shared texts, a missing check, an exclusion without an evaluation."""
        if self.rule is None:
            return [UNCHECKED]
        idle = self.rule.exclude and not self.evaluated
        extra = [f"contamination.exclude=true leaves nothing out. {NO_EVALUATION}"] if idle else []
        return [*describe(self.hits), *extra]

    def refuse_test_references(self) -> None:
        """Raises: DataError for a reference set that holds evaluation items, unless the rule allows them."""
        if self.rule is not None:
            self.rule.refuse_test_references(self.hits, self.targets)

    def clean_pool(self) -> Pool:
        """The pool, without rows that are in the evaluation if the rule excludes them.

        Raises: DataError when no row is left.
        """
        return decontaminated(self.pool, self.hits) if self.excludes else self.pool


def check_contamination(
    pool: Pool,
    targets: Sequence[Target],
    *,
    evaluator: Evaluator | None,
    rule: Contamination | None,
    store: Store,
) -> ContaminationCheck:
    """The outcome of the check that `rule` defines; None: no check. The store keeps the result."""
    evaluated = evaluator is not None
    if rule is None:
        return ContaminationCheck(None, pool, targets, evaluated)
    made = find_contamination(pool, targets, evaluator=evaluator, rule=rule, store=store)
    return ContaminationCheck(rule, pool, targets, evaluated, made, read_hits(made))


def find_contamination(
    pool: Pool, targets: Sequence[Target], *, evaluator: Evaluator | None, rule: Contamination, store: Store
) -> Artifact:
    """The `contamination` artifact: hits of pool and targets in the evaluation, and of the pool in the targets.

    Items beyond the evaluation's limit are also test items: hits in them are included and marked.
    """
    suite = evaluator.key() if evaluator else None
    limit = (suite or {}).get("limit")
    key = {
        "contamination": VERSION,
        "ngram": rule.ngram,
        "pool": {"name": pool.name, "examples": pool.fingerprint},
        "targets": {target.name: target.fingerprint for target in targets},
        "suite": suite,
        **({"beyond limit": LIMIT_VERSION} if limit else {}),
    }

    def write(part: Path) -> Mapping[str, Any]:
        found = evaluator.items() if evaluator else {}
        tasks = {Side("task", task): items for task, items in found.items()}
        references = {side_of(target): as_evaluation_texts(target) for target in targets}
        hits = rule.compare(pool, {**tasks, **references})
        for target in targets:
            hits += rule.compare(target, tasks)
        write_json(part / HITS, [_as_json(hit) for hit in hits])
        counts = {task: len(items) for task, items in found.items()}
        compared = {
            "pool": {"name": pool.name, **_counted([texts_of(one) for one in pool.examples])},
            "targets": {side.name: _counted([one.texts for one in items]) for side, items in references.items()},
            "tasks": {
                side.name: {
                    **_counted([one.texts for one in items]),
                    "evaluated": sum(one.evaluated for one in items),
                }
                for side, items in tasks.items()
            },
            "missing": list((suite or {}).get("missing", ())),
            "hits_in_tasks": sum(hit.other.role == "task" for hit in hits),
            "hits_in_evaluated": sum(hit.other.role == "task" and hit.evaluated for hit in hits),
        }  # fmt: skip
        return {"hits": len(hits), "items": sum(counts.values()), "tasks": counts, COMPARED: compared}

    return store.produce("contamination", key, write)


def _counted(rows: Sequence[Sequence[str]]) -> dict[str, int]:
    """Number of rows or items, and of those whose texts are too short to match."""
    return {"rows": len(rows), "too_short": sum(not comparable(texts) for texts in rows)}


def _as_json(hit: Hit) -> dict[str, Any]:
    sides = {"rows": hit.rows._asdict(), "other": hit.other._asdict()}
    return {**sides, "id": hit.id, "other_id": hit.other_id, "kind": hit.kind, "evaluated": hit.evaluated}


def read_hits(artifact: Artifact) -> list[Hit]:
    """Hits of a `contamination` artifact. Before `VERSION` 2, sides have a name but no role.

    Before `LIMIT_VERSION` 1, whether an item is below the limit follows from its number.
    """
    limit = (artifact.manifest["key"].get("suite") or {}).get("limit")

    def side(value: str | Mapping[str, Any]) -> Side:
        return Side("", value) if isinstance(value, str) else Side(value["role"], value["name"])

    def hit(one: Mapping[str, Any]) -> Hit:
        other = side(one["other"])
        known = other.role == "target" or _below(one["other_id"], limit)
        evaluated = bool(one.get("evaluated", known))
        return Hit(side(one["rows"]), one["id"], other, one["other_id"], one["kind"], evaluated)

    with reading(artifact.path):
        return [hit(one) for one in json.loads((artifact.path / HITS).read_text(encoding="utf-8"))]


def _below(item: str, limit: int | None) -> bool:
    return not limit or not item.isdigit() or int(item) < limit


def decontaminated(pool: Pool, hits: Sequence[Hit]) -> Pool:
    """The pool without the rows that are in the evaluation; hits among reference rows stay.

    Raises: DataError when no row is left.
    """
    gone = {hit.id for hit in hits if hit.rows.role == "pool" and hit.other.role == "task"}
    if not gone:
        return pool
    kept = tuple(example for example in pool.examples if example.id not in gone)
    if not kept:
        raise DataError(
            f"all {len(pool):,} rows are in the evaluation",
            where=f"pool '{pool.name}'",
            fix="Take another pool or evaluation, or set contamination.exclude=false.",
        )
    skipped = {**pool.skipped, "is in the evaluation": len(pool) - len(kept)}
    return replace(pool, examples=kept, fingerprint=fingerprint(kept), skipped=skipped)
