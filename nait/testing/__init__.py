"""Contract tests to subclass for scorers, orders, budgets, trackers and stores.

    from nait.testing import ScorerContract

    class TestShortest(ScorerContract):
        def scorer(self):
            return Shortest()

Each method named `test_*` checks one law; the other methods are hooks, which a subclass may override. The kit
includes a tiny random model, a pool and targets, and needs no network and no files except pytest's temporary ones.
"""

from nait.testing.budget_contract import BudgetContract
from nait.testing.order_contract import OrderContract
from nait.testing.scorer_contract import ScorerContract
from nait.testing.store_contract import StoreContract
from nait.testing.tracker_contract import TrackerContract

__all__ = ["BudgetContract", "OrderContract", "ScorerContract", "StoreContract", "TrackerContract"]
