"""Orders and budgets: seconds of the slowest order with its budgets, on --rows rows and 57 targets (goal 5).

CPU seconds are reported too: on a loaded machine they show the cost of the order itself.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from benchmarks.lines import print_result, timed
from benchmarks.models import arguments
from nait.core.ranking.budgets import Count, Ratio, Tokens
from nait.core.ranking.orders import BestRank, MeanZScore, RoundRobin
from nait.core.ranking.score_table import ScoreTable

GOAL = 5.0
TARGETS = 57
ORDERS = {"best_rank": BestRank(), "round_robin": RoundRobin(), "mean_zscore": MeanZScore()}


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=1_000_000)
    generator = np.random.default_rng(0)
    table = ScoreTable(
        ids=tuple(f"row-{i:08d}" for i in range(options.rows)),
        targets=tuple(f"target-{i}" for i in range(TARGETS)),
        values=generator.normal(size=(options.rows, TARGETS)),
        unit="1",
        definition="random",
    )
    answer_tokens = generator.integers(1, 200, size=options.rows)
    found = {}
    for name, order in ORDERS.items():
        started = time.process_time()
        found[f"{name}_seconds"] = timed(partial(select, order, table, answer_tokens))
        found[f"{name}_processor_seconds"] = time.process_time() - started
    slowest = max(found[f"{name}_seconds"] for name in ORDERS)
    print_result("selection", f"{options.rows} rows {TARGETS} targets", seconds=slowest, goal=GOAL, **found)


def select(order: Any, table: ScoreTable, answer_tokens: Any) -> list[int]:
    """The number of rows that each budget takes from the order's ranking."""
    ranking = order(table)
    budgets = (Ratio(0.1), Count(1000, allow_fewer=True), Tokens(1_000_000))
    return [budget(ranking, answer_tokens) for budget in budgets]


if __name__ == "__main__":
    main()
