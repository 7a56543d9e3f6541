"""Each law of each contract catches what breaks it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from nait.testing import BudgetContract, OrderContract, ScorerContract, StoreContract, TrackerContract
from tests.testing import broken_parts as parts
from tests.testing import broken_scorers as scorers

Law = tuple[type[Any], str, type[Exception], str]
CONTRACTS: dict[type[Any], tuple[list[Law], Callable[[type[Any]], type[Any]]]] = {
    ScorerContract: (scorers.LAWS, scorers.contract_of),
    OrderContract: (parts.ORDER_LAWS, parts.order_contract),
    BudgetContract: (parts.BUDGET_LAWS, parts.budget_contract),
    TrackerContract: (parts.TRACKER_LAWS, parts.tracker_contract),
    StoreContract: (parts.STORE_LAWS, parts.store_contract),
}
CASES = [(law, build) for laws, build in CONTRACTS.values() for law in laws]
SOUND = [(scorers.Sound, scorers.contract_of), (parts.Sized, parts.budget_contract)]


def laws_of(contract: type[Any]) -> list[str]:
    return [name for name in dir(contract) if name.startswith("test_")]


def hold(contract: Any, law: str, request: pytest.FixtureRequest) -> None:
    """Runs one law with the fixtures that it names."""
    method = getattr(contract, law)
    method(**{name: request.getfixturevalue(name) for name in inspect.signature(method).parameters})


@pytest.mark.parametrize(
    ("law", "build"), CASES, ids=[f"{case[1][5:]}-{case[0].__name__}" for case, _ in CASES]
)
def test_a_law_catches_what_breaks_it(
    law: Law, build: Callable[..., type[Any]], request: pytest.FixtureRequest
) -> None:
    broken, name, error, message = law
    contract = build(broken, broken(1)) if broken is scorers.DeafToItsSeed else build(broken)
    with pytest.raises(error, match=message):
        hold(contract(), name, request)


@pytest.mark.parametrize(("sound", "build"), SOUND, ids=lambda one: one.__name__)
def test_what_the_broken_ones_are_made_of_keeps_every_law(
    sound: type[Any], build: Callable[[type[Any]], type[Any]], request: pytest.FixtureRequest
) -> None:
    contract = build(sound)
    for law in laws_of(contract):
        hold(contract(), law, request)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda one: one.__name__)
def test_each_law_has_something_that_breaks_it(contract: type[Any]) -> None:
    laws, _ = CONTRACTS[contract]
    assert {name for _, name, _, _ in laws} == set(laws_of(contract))


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda one: one.__name__)
def test_a_contract_without_its_hook_says_what_to_return(contract: type[Any]) -> None:
    hook = {ScorerContract: "scorer", OrderContract: "order", BudgetContract: "budgets"}.get(contract)
    call = getattr(contract(), hook) if hook else None
    given = contract().tracker if contract is TrackerContract else getattr(contract(), "store", None)
    with pytest.raises(NotImplementedError, match="Return "):
        call() if call else given(None)
