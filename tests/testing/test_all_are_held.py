"""Every scorer, order, budget, tracker and store of ours is held to its contract."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

import nait.testing
from nait.cli.help import conf_folder
from nait.store import Store
from nait.testing import BudgetContract, OrderContract, ScorerContract, StoreContract, TrackerContract
from tests.testing import test_budgets, test_orders, test_scorers, test_stores, test_trackers


def subclasses(module: ModuleType, contract: type[Any]) -> list[Any]:
    """An instance of each contract class of a test module."""
    found = vars(module).values()
    return [
        one() for one in found if inspect.isclass(one) and issubclass(one, contract) and one is not contract
    ]


def built_by(group: str) -> set[type[Any]]:
    """The classes that the options of a group build."""
    texts = [path.read_text(encoding="utf-8") for path in (conf_folder() / group).glob("*.yaml")]
    targets = {yaml.safe_load(text).get("_target_") for text in texts} - {None}
    names = [target.rpartition(".") for target in targets]
    return {getattr(importlib.import_module(module), name) for module, _, name in names}


def defined_in(package: str) -> set[type[Any]]:
    """The public classes of a room of the hub."""
    found = importlib.import_module(package)
    modules = [
        importlib.import_module(one.name) for one in pkgutil.walk_packages(found.__path__, f"{package}.")
    ]
    classes = {one for module in modules for one in vars(module).values() if inspect.isclass(one)}
    return {one for one in classes if one.__module__.startswith(package) and not one.__name__.startswith("_")}


def test_every_scorer_is_held() -> None:
    held = {type(one.scorer()) for one in subclasses(test_scorers, ScorerContract)}
    assert {one for one in built_by("selector") if getattr(one, "selects", True)} == held
    assert {
        one for one in defined_in("nait.baselines") if hasattr(one, "score") and getattr(one, "selects", True)
    } <= held


def test_every_order_is_held() -> None:
    held = {type(one.order()) for one in subclasses(test_orders, OrderContract)}
    assert built_by("order") == held
    assert {one for one in defined_in("nait.core.ranking") if _called_with(one, "table")} <= held


def test_every_budget_is_held() -> None:
    held = {type(one) for held in subclasses(test_budgets, BudgetContract) for one in held.budgets()}
    assert built_by("budget") == held
    assert {one for one in defined_in("nait.core.ranking") if _called_with(one, "answer_tokens")} <= held


def test_every_tracker_is_held(tmp_path: Path) -> None:
    held = {type(one.tracker(tmp_path / "run")) for one in subclasses(test_trackers, TrackerContract)}
    assert {one for one in defined_in("nait.tracking") if hasattr(one, "histogram")} == held


def test_every_store_is_held(tmp_path: Path) -> None:
    held = {type(one.store(tmp_path)) for one in subclasses(test_stores, StoreContract)}
    rooms = ("nait.store", "nait.stages", "nait.planning", "nait.runs")
    assert {one for room in rooms for one in defined_in(room) if issubclass(one, Store)} == held


def test_the_kit_is_imported_without_pytest() -> None:
    for path in Path(nait.testing.__path__[0]).glob("*.py"):
        assert "import pytest" not in path.read_text(encoding="utf-8"), path.name


def _called_with(one: type[Any], parameter: str) -> bool:
    return "__call__" in vars(one) and parameter in inspect.signature(one.__call__).parameters
