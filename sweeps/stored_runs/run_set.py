"""Recorded runs and the artifacts behind them, each file read at most once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nait.core.addresses import digest_lines
from nait.core.dataset.contamination import Hit
from nait.core.dataset.traits import Traits
from nait.core.errors import StoreError
from nait.core.inputs.visible_text import visible_parts
from nait.core.statistics.results import Item, Result
from nait.stages.artifacts.evaluation_files import RESULTS, itemised, read_items, typed_results
from nait.stages.checks.detect_contamination import read_hits
from nait.stages.describe_pool import read_traits
from nait.store import Artifact, read_json
from nait.store.last_use import last_use
from nait.sweeps.stored_runs.manifest_shapes import check_shape
from nait.sweeps.stored_runs.selections import Chosen, read_chosen
from nait.sweeps.stored_runs.stores import ReadableStore

T = TypeVar("T")
TRUTH = ("truth", "truth_labels")
"""The parts of a record's key that depend on the rows' labels."""


@dataclass(frozen=True)
class RunSet:
    """The run records of a report. Artifacts are read on first use and kept; so is the fact that one is missing.

    All tables and sections of a report share one run set, so no file of the store is read twice.
    """

    store: ReadableStore
    records: tuple[Artifact, ...]
    _kept: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(cls, store: ReadableStore, runs: Sequence[str] | None = None) -> RunSet:
        """The records of these runs; None: all runs, the last used last.

        Of records that differ only in ground truth, the last used is taken.

        Raises: StoreError for a run that is not in the store.
        """
        if runs is not None:
            found = [_record(store, address) for address in dict.fromkeys(runs)]
        else:
            by_use = sorted(map(check_shape, store.artifacts("runs")), key=last_use)
            found = list({_key_without_labels(one): one for one in by_use}.values())
        return cls(store, tuple(found), {("runs", one.address): one for one in found})

    def find(self, kind: str, address: str) -> Artifact | None:
        """The artifact, or None; also None for an empty address, which a run without such an artifact links to."""
        if not address:
            return None
        return self._once(kind, address, lambda: self._found(kind, address))

    def _found(self, kind: str, address: str) -> Artifact | None:
        found = self.store.find(kind, address)
        return found and check_shape(found)

    def results(self, evaluation: Artifact) -> tuple[Result, ...]:
        """The task results of an `evaluations` artifact. Raises: StoreError when the file is damaged."""
        kept = self._results_file(evaluation)
        return self._once("results", evaluation.address, lambda: typed_results(kept, evaluation.path))

    def versions(self, evaluation: Artifact) -> Mapping[str, Any]:
        """The package versions an evaluation recorded. Raises: StoreError when the file is damaged."""
        found: Mapping[str, Any] = self._results_file(evaluation).get("versions", {})
        return found

    def outcomes(self, evaluation: Artifact) -> tuple[Item, ...]:
        """The items of the metrics that are means over items. Raises: StoreError when a file is damaged."""
        return self._once(
            "outcomes",
            evaluation.address,
            lambda: itemised(self.results(evaluation), read_items(evaluation.path)),
        )

    def chosen(self, address: str) -> Chosen | None:
        """The selection at this address, None where the store lacks it."""
        found = self.find("selections", address)
        return self._once("chosen", address, lambda: read_chosen(found)) if found else None

    def traits(self, address: str) -> Traits | None:
        """The pool traits at this address, None where the store lacks them."""
        found = self.find("traits", address)
        return self._once("pool traits", address, lambda: read_traits(found)) if found else None

    def hits(self, check: Artifact) -> Sequence[Hit]:
        """The overlaps that a contamination check found."""
        return self._once("hits", check.address, lambda: read_hits(check))

    def selected_digest(self, record: Artifact) -> str:
        """The digest of a run's selected rows, empty without a selection; of older artifacts, from the ids."""
        link = record.manifest["links"].get("selection")
        found = self.find("selections", str(link)) if link else None
        if found is None:
            return ""
        if found.manifest.get("digest"):
            return str(found.manifest["digest"])
        chosen = self.chosen(found.address)
        return digest_lines(sorted(chosen.chosen)) if chosen else ""

    def _results_file(self, evaluation: Artifact) -> Any:
        return self._once(
            RESULTS, evaluation.address, lambda: visible_parts(read_json(evaluation.path / RESULTS))
        )

    def _once(self, kind: str, address: str, read: Callable[[], T]) -> T:
        place = (kind, address)
        if place not in self._kept:
            self._kept[place] = read()
        found: T = self._kept[place]
        return found


def _key_without_labels(record: Artifact) -> str:
    """A record's key without the ground truth of the rows' labels."""
    key = {name: part for name, part in record.manifest["key"].items() if name not in TRUTH}
    return json.dumps(key, sort_keys=True)


def _record(store: ReadableStore, address: str) -> Artifact:
    found = store.find("runs", address)
    if found is None:
        raise StoreError(f"there is no run {address}", where=str(store.root), fix="Run the job again.")
    return check_shape(found)
