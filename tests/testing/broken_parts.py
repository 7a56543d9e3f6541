"""Orders, budgets, trackers and stores that each break one law of their contract."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nait.core.addresses import address
from nait.core.contracts import Budget, Order, Tracker
from nait.core.errors import ConfigError
from nait.core.ranking.score_table import ScoreTable
from nait.store import Artifact, Store, write_json
from nait.testing import BudgetContract, OrderContract, StoreContract, TrackerContract
from nait.tracking.file_tracker import FileTracker

Law = tuple[type[Any], str, type[Exception], str]

# Orders.


class RanksAll:
    def __call__(self, table: ScoreTable) -> Any:
        return np.arange(len(table.ids))


class RanksTwice:
    def __call__(self, table: ScoreTable) -> Any:
        return np.repeat(np.flatnonzero(table.eligible), 2)


class RanksNames:
    def __call__(self, table: ScoreTable) -> Any:
        return np.flatnonzero(table.eligible).astype(str)


class RefusesMissing:
    def __call__(self, table: ScoreTable) -> Any:
        if np.isnan(table.values).any():
            raise ConfigError("a score is missing")
        return np.arange(len(table.ids))


class RefusesEvery:
    def __call__(self, table: ScoreTable) -> Any:
        raise ConfigError("no")


class TiesByPlace:
    def __call__(self, table: ScoreTable) -> Any:
        rows = np.flatnonzero(table.eligible)
        return rows[np.argsort(-np.nan_to_num(table.values[rows, 0]), kind="stable")]


class RandomOrder:
    def __call__(self, table: ScoreTable) -> Any:
        return np.random.permutation(np.flatnonzero(table.eligible))


class FillsIn:
    def __call__(self, table: ScoreTable) -> Any:
        rows = np.flatnonzero(table.eligible)
        np.nan_to_num(table.values, copy=False)
        return rows


def order_contract(made: type[Any]) -> type[OrderContract]:
    class Broken(OrderContract):
        def order(self) -> Order:
            order: Order = made()
            return order

    return Broken


ORDER_LAWS: list[Law] = [
    (RanksAll, "test_a_ranking_is_a_permutation_of_the_eligible_rows", AssertionError, "not a permutation"),
    (RanksTwice, "test_a_ranking_is_a_permutation_of_the_eligible_rows", AssertionError, "not a permutation"),
    (RanksNames, "test_a_ranking_is_a_permutation_of_the_eligible_rows", AssertionError, "whole numbers"),
    (RefusesMissing, "test_a_number_of_columns_is_refused_always_or_never", AssertionError, "others are not"),
    (
        RefusesEvery,
        "test_a_number_of_columns_is_refused_always_or_never",
        AssertionError,
        "refuses every table",
    ),
    (TiesByPlace, "test_the_order_of_the_rows_is_irrelevant", AssertionError, "order of the rows"),
    (RandomOrder, "test_the_same_table_gives_the_same_ranking", AssertionError, "differently"),
    (FillsIn, "test_the_table_is_not_modified", AssertionError, "changes the scores"),
]

# Budgets.


@dataclass(frozen=True)
class Sized:
    size: int

    @property
    def label(self) -> str:
        return f"{self.size} of them"

    def __call__(self, ranking: Any, answer_tokens: Any) -> Any:
        return min(self.size, len(ranking))


class Beyond(Sized):
    def __call__(self, ranking: Any, answer_tokens: Any) -> Any:
        return self.size


class Share(Sized):
    def __call__(self, ranking: Any, answer_tokens: Any) -> Any:
        return self.size * len(ranking) / 40


class AtLeastOne(Sized):
    def __call__(self, ranking: Any, answer_tokens: Any) -> Any:
        return max(1, super().__call__(ranking, answer_tokens))


class Shrinking(Sized):
    def __call__(self, ranking: Any, answer_tokens: Any) -> Any:
        return min(31 - self.size, len(ranking))


class Stuck(Sized):
    def __call__(self, ranking: Any, answer_tokens: Any) -> Any:
        return min(3, len(ranking))


class ByPlace(Sized):
    def __call__(self, ranking: Any, answer_tokens: Any) -> Any:
        return int((ranking < self.size).sum())


class Rolling(Sized):
    def __call__(self, ranking: Any, answer_tokens: Any) -> Any:
        return np.random.randint(1, len(ranking) + 1)


class Sorting(Sized):
    def __call__(self, ranking: Any, answer_tokens: Any) -> Any:
        ranking.sort()
        return super().__call__(ranking, answer_tokens)


class Nameless(Sized):
    @property
    def label(self) -> str:
        return ""


class Alike(Sized):
    @property
    def label(self) -> str:
        return "some rows"


def budget_contract(made: type[Any]) -> type[BudgetContract]:
    class Broken(BudgetContract):
        def budgets(self) -> Sequence[Budget]:
            return [made(5), made(20)]

    return Broken


BUDGET_LAWS: list[Law] = [
    (Beyond, "test_a_budget_takes_some_of_the_ranked_rows", AssertionError, "takes 5 of 1 ranked rows"),
    (Share, "test_a_budget_takes_some_of_the_ranked_rows", AssertionError, "not a whole number"),
    (AtLeastOne, "test_an_empty_ranking_gives_no_rows", AssertionError, "takes 1 rows of none"),
    (
        Shrinking,
        "test_a_smaller_budget_is_a_prefix_of_a_larger_one",
        AssertionError,
        r"takes fewer: \[26, 11\]",
    ),
    (Stuck, "test_a_smaller_budget_is_a_prefix_of_a_larger_one", AssertionError, "all budgets take 3 rows"),
    (ByPlace, "test_the_order_of_the_pool_is_irrelevant", AssertionError, "order of the pool"),
    (Rolling, "test_the_same_ranking_gives_the_same_number", AssertionError, "rows, then"),
    (Sorting, "test_the_ranking_is_not_modified", AssertionError, "changes the ranking"),
    (Nameless, "test_different_budgets_have_different_labels", AssertionError, "the label is empty"),
    (Alike, "test_different_budgets_have_different_labels", AssertionError, "share a label"),
]

# Trackers.


class Base(FileTracker):
    """A tracker that obeys all laws; subclasses break one."""


class Exact(Base):
    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None:
        if any(not np.isfinite(value) for value in metrics.values()):
            raise ValueError("not a finite number")


class Reading(Base):
    def page(self, name: str, path: Path) -> None:
        path.read_text(encoding="utf-8")


class NeedsAStart(Base):
    started = False

    def start(self, name: str, config: Mapping[str, Any], **_: Any) -> None:
        self.started = True

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None:
        if not self.started:
            raise RuntimeError("no run")


class NeedsAFolder(Base):
    def start(self, name: str, config: Mapping[str, Any], **_: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)


class Popping(Base):
    def start(self, name: str, config: Any, **_: Any) -> None:
        config.pop("seed", None)


class Leaking(Base):
    def start(self, name: str, config: Mapping[str, Any], **given: Any) -> None:
        super().start(name, config, **given)
        self.summary({"environment": dict(os.environ)})


def tracker_contract(made: type[Any]) -> type[TrackerContract]:
    class Broken(TrackerContract):
        def tracker(self, folder: Path) -> Tracker:
            tracker: Tracker = made(folder)
            return tracker

    return Broken


TRACKER_LAWS: list[Law] = [
    (Exact, "test_any_values_can_be_logged", AssertionError, "raises ValueError"),
    (Reading, "test_missing_files_do_not_stop_a_run", AssertionError, "raises FileNotFoundError"),
    (NeedsAStart, "test_calls_outside_a_run_do_not_raise", AssertionError, "raises RuntimeError"),
    (
        NeedsAFolder,
        "test_an_unwritable_folder_does_not_stop_a_run",
        AssertionError,
        "raises NotADirectory",
    ),
    (Popping, "test_logged_values_are_not_modified", AssertionError, "changes the config"),
    (Leaking, "test_secrets_are_never_written", AssertionError, "a key is in run/summary.json"),
]

# Stores.


class Forgetful(Store):
    """Calls the writer although the artifact exists."""

    def produce(self, kind: str, key: Any, write: Any) -> Artifact:
        folder = self.folder(kind, key)
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {"key": dict(key), **write(folder)}
        write_json(folder / "manifest.json", manifest)
        return Artifact(kind, folder.name, folder, manifest, fresh=True)


class InMemory(Store):
    """Finds only artifacts that this instance made."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.made: dict[str, Artifact] = {}

    def find(self, kind: str, key: Any) -> Artifact | None:
        return self.made.get(address([kind, key]))

    def produce(self, kind: str, key: Any, write: Any) -> Artifact:
        made = super().produce(kind, key, write)
        return self.made.setdefault(address([kind, key]), made)


class ByNames(Store):
    """Ignores the values in a key."""

    def find(self, kind: str, key: Any) -> Artifact | None:
        return super().find(kind, key if isinstance(key, str) else dict.fromkeys(key))

    def produce(self, kind: str, key: Any, write: Any) -> Artifact:
        return super().produce(kind, dict.fromkeys(key), write)


class Early(Store):
    """Writes the manifest first."""

    def produce(self, kind: str, key: Any, write: Any) -> Artifact:
        folder = self.folder(kind, key)
        folder.mkdir(parents=True, exist_ok=True)
        about = {"kind": kind, "address": folder.name, "key": dict(key)}
        write_json(folder / "manifest.json", about)
        write(folder)
        return Artifact(kind, folder.name, folder, {}, fresh=True)


class Careless(Store):
    """Finds a folder without a manifest."""

    def find(self, kind: str, key: Any) -> Artifact | None:
        folder = self.folder(kind, key)
        return Artifact(kind, folder.name, folder, {}) if folder.exists() else None


class Blind(Store):
    """Reads an artifact without a look at its files."""

    def find(self, kind: str, key: Any) -> Artifact | None:
        folder = self.folder(kind, key)
        if not (folder / "manifest.json").is_file():
            return None
        return Artifact(kind, folder.name, folder, json.loads((folder / "manifest.json").read_text()))


class Loose(Store):
    """Accepts any kind."""

    def folder(self, kind: str, key: Any) -> Path:
        return self.root / kind / (key if isinstance(key, str) else address(key))


def store_contract(made: type[Any]) -> type[StoreContract]:
    class Broken(StoreContract):
        def store(self, root: Path) -> Store:
            store: Store = made(root)
            return store

    return Broken


STORE_LAWS: list[Law] = [
    (Forgetful, "test_an_artifact_is_made_once", AssertionError, "called 2 times"),
    (InMemory, "test_a_reopened_store_finds_what_was_made", AssertionError, "does not find the artifact"),
    (ByNames, "test_a_key_is_its_content", AssertionError, "finds the artifact of"),
    (Early, "test_a_failed_writer_leaves_no_artifact", AssertionError, "half an artifact is found"),
    (Early, "test_a_killed_writer_leaves_no_artifact", AssertionError, "half an artifact is found"),
    (Forgetful, "test_one_of_several_processes_writes", AssertionError, "processes write one artifact"),
    (Careless, "test_a_folder_without_a_manifest_is_not_an_artifact", AssertionError, "is found"),
    (Blind, "test_damage_is_found_and_made_again", AssertionError, "is read as an artifact"),
    (Loose, "test_every_artifact_is_inside_the_root", AssertionError, "give the folder"),
]
