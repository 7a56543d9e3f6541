"""Texts that a method reads without their ends, since they are longer than the length limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.dataset.examples import Pool, Target
from nait.signals.token_store import read_tokens
from nait.store import Artifact

LOUD_CUT_SHARE = 0.05
"""A larger share of cut texts is a warning. Every one is counted."""


def cut_texts(
    pool: Pool, targets: Sequence[Target], eligible: npt.NDArray[np.bool_], used: Iterable[Artifact]
) -> tuple[dict[str, Any], list[str]]:
    """The numbers of cut texts, for the manifest, and warnings.

    `used`: the artifacts that the scores were computed from, token tables among them. `eligible` [N]: the rows that
    can be ranked; others have a reason of their own. Texts with a limit for each row do not count.
    """
    tables: dict[str, list[tuple[npt.NDArray[np.bool_], int]]] = {}
    for one in used:
        key = one.manifest["key"]
        if one.kind == "encodings" and "behind" not in key and one.manifest.get("truncated"):
            found = np.asarray(read_tokens(one.path).truncated), int(key["max_length"])
            tables.setdefault(str(key["examples"]), []).append(found)
    every = [(int((mask & eligible).sum()), limit) for mask, limit in tables.get(pool.fingerprint, ())]
    rows, limit = max(every, default=(0, 0))
    references = {
        target.name: max((int(mask.sum()), most) for mask, most in tables[target.fingerprint])
        for target in targets
        if target.fingerprint in tables
    }
    ranked = int(eligible.sum())
    warnings = [_warning(rows, ranked, "ranked rows", limit)] if rows > LOUD_CUT_SHARE * ranked else []
    for target in targets:
        count, most = references.get(target.name, (0, 0))
        if count > LOUD_CUT_SHARE * len(target):
            warnings.append(_warning(count, len(target), f"reference rows of {target.name}", most))
    counts = {name: count for name, (count, _) in references.items()}
    return {"truncated": {"rows": rows, "references": counts}}, warnings


def _warning(count: int, among: int, what: str, limit: int) -> str:
    return (
        f"{count:,} of the {among:,} {what} are longer than {limit} tokens (max_length) and are read without their "
        "ends. Raise the limit, or leave such rows out."
    )
