"""Select stage: the rows that a method selects from a pool.

Writes two artifacts: `scores` (each row's scores) and `selections` (ranks, the selected rows as the user wrote them,
and each layer's contribution to their scores).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.addresses import address, digest_lines
from nait.core.contracts import (
    Budget,
    Extractor,
    Layered,
    Order,
    Requests,
    Scorer,
    content_of,
    is_by_row,
    version_of,
)
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import DataError
from nait.core.ranking.orders import RoundRobin, Shuffled, by_target
from nait.core.ranking.score_table import ScoreTable
from nait.core.ranking.selection import Selection, cut
from nait.core.ranks import processes_from
from nait.signals.extractor import StoredExtractor
from nait.signals.lineage import Lineage
from nait.signals.passes.stored_signals import NotMeasured
from nait.stages.artifacts.score_files import (
    read_scores,
    read_selection,
    write_layers,
    write_scores,
    write_selection,
    write_user_rows,
)
from nait.stages.artifacts.stored_names import stored_names
from nait.stages.checks.cut_texts import cut_selected, cut_texts
from nait.stages.checks.score_checks import inspect, ranks_by_score
from nait.store import Artifact, Store
from nait.store.energy import gauge

log = logging.getLogger(__name__)

VERSION = 1
SELECTION_VERSION = 3
COUNTS_VERSION = 1
"""Part of a selection's key, for its counts. Another number leaves the rows as they are, and runs in one table."""


@dataclass(frozen=True)
class Selector:
    """A method: scorer, order and budget. `config` is their part of the keys of scores and selections."""

    scorer: Scorer
    order: Order
    budget: Budget
    config: Mapping[str, Any]
    sharing_passes: Callable[[], Sequence[Scorer]] = tuple
    """Other methods whose measurements of the pool are made in the same passes (config key `beside`)."""

    @property
    def selects(self) -> bool:
        """Whether the method selects rows. The base model does not."""
        return bool(getattr(self.scorer, "selects", True))

    @property
    def is_control(self) -> bool:
        """Whether the order draws the rows at random, whatever their scores. The full pool has none to draw."""
        return self.selects and not self.exhaustive and isinstance(self.order, Shuffled)

    @property
    def exhaustive(self) -> bool:
        """Whether the method declares, before it scores, that it takes every eligible row under any budget."""
        return bool(getattr(self.scorer, "exhaustive", False))


def select(
    pool: Pool, targets: Sequence[Target], selector: Selector, extractor: StoredExtractor, store: Store
) -> tuple[Selection, Artifact, Artifact]:
    """The selection, its artifact and the scores' artifact, from the store if they are there.

    Reference rows without an answer are ignored. Raises: DataError for a target without other rows.
    """
    targets = with_answers(targets, extractor)
    scores = _scores(pool, targets, selector, extractor, store)
    key = {
        "selection": SELECTION_VERSION,
        "counts": COUNTS_VERSION,
        "scores": scores.address,
        "order": stored_names(selector.config["order"]),
        "budget": stored_names(selector.config["budget"]),
        **_turns(selector.order, scores),
    }

    def write(part: Path) -> Mapping[str, Any]:
        table, answer_tokens = read_scores(scores)
        ranking = selector.order(table)
        count = len(ranking) if table.exhaustive else selector.budget(ranking, answer_tokens)
        selection = cut(table, ranking, count, answer_tokens)
        write_selection(part, table, ranking, selection, answer_tokens)
        made_of = scores.manifest["made_of"] if ranks_by_score(selector.order) else ()
        if pool.source is not None:  # a report shows examples even after the pool's file has moved
            write_user_rows(part, pool, selection, ranking)
        return {
            "rows": len(selection),
            "answer_tokens": selection.answer_tokens,
            **cut_selected(pool, selection, extractor, made_of),
            "digest": selection.digest,
            **_layers(part, selection, table, pool, targets, selector.scorer, extractor),
        }

    made = store.produce("selections", key, write)
    return read_selection(made, pool), made, scores


def _turns(order: Order, scores: Artifact) -> dict[str, str]:
    """The entry of the key that distinguishes turns by target from turns by column, where they differ."""
    targets = by_target(scores.manifest["targets"])
    columns = max(map(len, targets.values()), default=0)
    differ = isinstance(order, RoundRobin) and len(targets) > 1 and columns > 1
    return {"turns": "by target"} if differ else {}


def _layers(
    part: Path,
    selection: Selection,
    table: ScoreTable,
    pool: Pool,
    targets: Sequence[Target],
    scorer: Scorer,
    extractor: StoredExtractor,
) -> Mapping[str, Any]:
    """Write each layer's contribution to the selected rows' scores, if the scorer has layers.

    Returns the entry of the manifest, empty without layers or without their signals in the store.
    """
    if not isinstance(scorer, Layered):
        return {}
    rows = np.array(selection.rows, dtype=np.int64)
    try:
        found = list(
            scorer.contributions(
                pool.blind(), targets, extractor.stored_only(), rows=rows, among=table.eligible
            )
        )
    except NotMeasured:
        log.warning("The store no longer has the signals: layer contributions to the scores are omitted.")
        return {}
    return {"layer_means": write_layers(part, selection.ids, found)}


def assist(
    pool: Pool, targets: Sequence[Target], selector: Selector, extractor: StoredExtractor, store: Store
) -> None:
    """Compute a share of the passes of a selection. Another process writes the scores."""
    targets = with_answers(targets, extractor)
    if store.find("scores", _key(pool, targets, selector, extractor)) is None:
        measure_together(pool.blind(), targets, [selector.scorer, *selector.sharing_passes()], extractor)
        selector.scorer.score(pool.blind(), targets, extractor)


def _key(
    pool: Pool, targets: Sequence[Target], selector: Selector, extractor: StoredExtractor
) -> dict[str, Any]:
    """The key of the scores."""
    content = content_of(selector.scorer)
    return {
        "scores": VERSION,
        "selector": stored_names(selector.config["selector"]),
        "version": version_of(selector.scorer),
        **({} if content is None else {"content": content}),
        **({"rows": row_numbers(pool)} if is_by_row(selector.scorer) else {}),
        "pool": extractor.identity(pool),
        "targets": [extractor.identity(target) for target in targets],
        "names": [target.name for target in targets],
    }


def row_numbers(pool: Pool) -> str:
    """The digest of each row's number in the pool's file, in the order of ids. The pool's fingerprint has none."""
    return digest_lines(str(example.row) for example in pool.examples)


def _scores(
    pool: Pool, targets: Sequence[Target], selector: Selector, extractor: StoredExtractor, store: Store
) -> Artifact:
    def write(part: Path) -> Mapping[str, Any]:
        seen = pool.blind()
        measure_together(seen, targets, [selector.scorer, *selector.sharing_passes()], extractor)
        started, since = time.monotonic(), gauge().joules()
        traced = extractor.traced()  # the cost of this method, without the measurements for other methods
        table = selector.scorer.score(seen, targets, traced)
        used = list(traced.lineage)
        answer_tokens = np.asarray(traced.tokens(pool).answer_tokens)
        table = table.without(ineligible(pool, answer_tokens))
        report = inspect(table, traced.lengths(pool))
        truncated, cut_warnings = cut_texts(pool, targets, table.eligible, used)
        write_scores(part, table, answer_tokens)
        elapsed, energy = time.monotonic() - started, gauge().watt_hours(since)
        stated = dict(table.stated_cost)
        return {
            "definition": table.definition,
            "unit": table.unit,
            "targets": list(table.targets),
            "exhaustive": table.exhaustive,
            "rows": len(pool),
            "ineligible": table.ineligible_counts(),
            "length_correlation": report.length_correlation,
            "diagnostics": dict(table.diagnostics),
            **truncated,
            "warnings": [*table.warnings, *report.warnings, *cut_warnings],
            "seconds_from_nothing": traced.lineage.seconds(elapsed) + stated.get("seconds", 0.0),
            **_over_processes(traced.lineage, elapsed, stated.get("seconds", 0.0)),
            "energy_wh_from_nothing": traced.lineage.energy_wh(energy),
            "made_of": traced.lineage.made_of(),
            "derived": [[kind, name] for name, kind in traced.lineage.derived.items()],
            **({"stated_cost": stated} if stated else {}),
        }

    return store.produce("scores", _key(pool, targets, selector, extractor), write)


def _over_processes(lineage: Lineage, elapsed: float, stated: float) -> dict[str, float]:
    """The seconds from an empty store summed over processes; {} where one process did everything."""
    processes = processes_from(os.environ)
    if processes == 1 and all(one.processes == 1 for one in lineage):
        return {}
    return {"process_seconds_from_nothing": lineage.process_seconds(elapsed, processes) + stated}


def measure_together(
    pool: Pool, targets: Sequence[Target], scorers: Sequence[Scorer], extractor: Extractor
) -> None:
    """Measure what several methods request of the same texts, in one pass over each text."""
    if len(scorers) < 2:
        return  # a single method measures when it scores
    groups: dict[str, tuple[Extractor, Pool, list[Any]]] = {}
    for scorer in scorers:
        if not isinstance(scorer, Requests):
            continue
        for view, rows, signals in scorer.requests(pool, targets, extractor):
            text = address(view.identity(rows))
            groups.setdefault(text, (view, rows, []))[2].extend(signals)
    for view, rows, signals in groups.values():
        view.measure(rows, signals)


EMPTY, BEYOND = "empty answer", "answer beyond max_length"
"""Reasons why a row of the pool or of a reference set cannot be used."""


def ineligible(rows: Pool | Target, answer_tokens: npt.NDArray[np.int64]) -> dict[str, str]:
    """Rows without tokens to train on, id -> reason. No method may select them or use them as references."""
    reasons = {}
    for example, tokens in zip(rows.examples, answer_tokens, strict=True):
        if not example.answered:
            reasons[example.id] = EMPTY
        elif tokens == 0:
            reasons[example.id] = BEYOND
    return reasons


def with_answers(targets: Sequence[Target], extractor: StoredExtractor) -> list[Target]:
    """The targets without rows whose answer is empty or beyond the length limit. These are counted as skipped.

    Raises: DataError for a target without other rows.
    """
    return [_with_answers(target, extractor) if target.examples else target for target in targets]


def _with_answers(target: Target, extractor: StoredExtractor) -> Target:
    reasons = ineligible(target, np.asarray(extractor.tokens(target).answer_tokens))
    found = target
    for reason in (EMPTY, BEYOND):
        found = found.without({key for key, why in reasons.items() if why == reason}, reason)
    if not found.examples:
        raise DataError(
            f"none of its {len(target)} rows has an answer within {extractor.encodings.max_length} tokens",
            where=f"target '{target.name}'",
            fix="Give rows with answers, or raise model.max_length.",
        )
    return found


def describe(table: ScoreTable) -> str:
    """One line for the log: eligible rows, and ineligible ones by reason."""
    counts = ", ".join(f"{count} {reason}" for reason, count in table.ineligible_counts().items())
    return f"{int(table.eligible.sum())} of {len(table.ids)} rows eligible" + (
        f" ({counts})" if counts else ""
    )
