"""All orders of ours keep the orders' contract."""

from __future__ import annotations

from nait.core.contracts import Order
from nait.core.ranking.orders import (
    BestRank,
    EqualQuota,
    FromQuantile,
    Highest,
    Lowest,
    MeanZScore,
    Middle,
    RoundRobin,
    Shuffled,
)
from nait.testing import OrderContract


class TestHighest(OrderContract):
    def order(self) -> Order:
        return Highest()


class TestLowest(OrderContract):
    def order(self) -> Order:
        return Lowest()


class TestMiddle(OrderContract):
    def order(self) -> Order:
        return Middle()


class TestFromQuantile(OrderContract):
    def order(self) -> Order:
        return FromQuantile()


class TestRoundRobin(OrderContract):
    def order(self) -> Order:
        return RoundRobin()


class TestBestRank(OrderContract):
    def order(self) -> Order:
        return BestRank()


class TestMeanZScore(OrderContract):
    def order(self) -> Order:
        return MeanZScore()


class TestShuffled(OrderContract):
    def order(self) -> Order:
        return Shuffled()


class TestEqualQuota(OrderContract):
    def order(self) -> Order:
        return EqualQuota()
