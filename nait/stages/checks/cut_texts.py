"""Texts that are read without their ends, since they are longer than the length limit.

Shapes: N rows of the pool.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.dataset.examples import Pool, Target
from nait.core.estimates.human_units import counted
from nait.core.ranking.selection import Selection
from nait.signals.extractor import StoredExtractor
from nait.signals.token_store import read_tokens
from nait.store import Artifact

log = logging.getLogger(__name__)

LOUD_CUT_SHARE = 0.05
"""A larger share of cut texts is a warning. Every one is counted."""

Mask = npt.NDArray[np.bool_]


def cut_texts(
    pool: Pool, targets: Sequence[Target], eligible: Mask, used: Iterable[Artifact]
) -> tuple[dict[str, Any], list[str]]:
    """The numbers of cut texts, for the manifest of scores, and warnings.

    `used`: the artifacts that the scores were computed from, token tables among them. `eligible` [N]: the rows that
    can be ranked; others have a reason of their own. Texts with a limit for each row do not count.
    """
    tables = _cut_tables(used)
    every = [(int((mask & eligible).sum()), limit) for mask, limit in tables.get(pool.fingerprint, ())]
    rows, limit = max(every, default=(0, 0))
    references = {
        target.name: max((int(mask.sum()), most) for mask, most in tables[target.fingerprint])
        for target in targets
        if target.fingerprint in tables
    }
    warnings = _warnings({limit: rows}, int(eligible.sum()), "ranked rows")
    for target in targets:
        count, most = references.get(target.name, (0, 0))
        warnings += _warnings({most: count}, len(target), f"reference rows of {target.name}")
    counts = {name: count for name, (count, _) in references.items()}
    return {"truncated": {"rows": rows, "references": counts}}, warnings


def cut_selected(
    pool: Pool, selection: Selection, extractor: StoredExtractor, made_of: Iterable[Sequence[Any]]
) -> dict[str, Any]:
    """The number of selected rows whose texts the run cuts, and warnings, for the manifest of a selection.

    Their answer tokens are counted, and trained, without their ends. There is a warning for each length limit:
    `made_of`, the kinds and addresses of what the ranking was computed from, may have texts with another one.
    """
    cut_n = np.asarray(extractor.traced().tokens(pool).truncated)
    found = [extractor.store.find(str(kind), str(name)) for kind, name, *_ in made_of if kind == "encodings"]
    if None in found:
        log.warning(
            "The store no longer has some texts as the method read them: those it cut are not counted."
        )
    chosen, limit = np.asarray(selection.rows, dtype=np.int64), extractor.model.max_length
    count = int(cut_n[chosen].sum())
    counts = {limit: count}
    for mask, most in _cut_tables(one for one in found if one).get(pool.fingerprint, ()):
        counts[most] = max(counts.get(most, 0), int(mask[chosen].sum()))
    return {"truncated": count, "warnings": _warnings(counts, len(chosen), "selected rows")}


def tokens_text(selection: Mapping[str, Any]) -> str:
    """The answer tokens of a selection in words, from its manifest: as read, where texts are cut."""
    text = f"{selection['answer_tokens']:,} answer tokens"
    cut = selection.get("truncated")  # selections of earlier versions lack it
    return f"{text} as read, {counted(cut, 'row')} cut at max_length" if cut else text


def _cut_tables(used: Iterable[Artifact]) -> dict[str, list[tuple[Mask, int]]]:
    """Fingerprint of examples -> which of them a token table cuts, and its limit, for each table that cuts any."""
    tables: dict[str, list[tuple[Mask, int]]] = {}
    for one in used:
        key = one.manifest["key"]
        if one.kind == "encodings" and "behind" not in key and one.manifest.get("truncated"):
            found = np.asarray(read_tokens(one.path).truncated), int(key["max_length"])
            tables.setdefault(str(key["examples"]), []).append(found)
    return tables


def _warnings(counts: dict[int, int], among: int, what: str) -> list[str]:
    """A warning for each length limit that cuts more than `LOUD_CUT_SHARE` of the texts. `counts`: limit -> texts."""
    return [
        f"{count:,} of the {among:,} {what} are longer than {limit} tokens (max_length) and are read without their "
        "ends. Raise the limit, or leave such rows out."
        for limit, count in sorted(counts.items())
        if count > LOUD_CUT_SHARE * among
    ]
