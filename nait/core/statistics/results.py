"""Results of evaluations, and the leaderboard rows made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Member:
    """A task in a group's weighted mean: the group's value is the sum of weight * value over its members."""

    task: str
    metric: str
    filter: str
    weight: float


@dataclass(frozen=True)
class Result:
    """One metric of one task. `stderr` is None when the metric has none; `n` is the number of items.

    `is_group`: the value is the mean of a group of tasks, `members`. `missing` names members that could not be run.
    """

    task: str
    metric: str
    value: float
    stderr: float | None
    n: int
    filter: str = ""
    num_fewshot: int | None = None
    higher_is_better: bool = True
    is_group: bool = False
    primary: bool = True
    missing: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Item:
    """The outcome of one evaluation item, for paired statistics."""

    task: str
    doc_id: int
    metric: str
    filter: str
    value: float
    doc_hash: str = ""


@dataclass(frozen=True)
class Evaluation:
    """All results of one evaluation. `missing` names subtasks that could not be run.

    `answers_at_limit`: for each task with generated answers, the number of items whose answer reached its token limit
    unfinished, and the number of items. `code_execution`: how generated programs were run, and counts of their
    outcomes; empty if none were run. `earlier`: the cost of interrupted attempts whose answers were used.
    `requested`: each requested name without a result of its own, such as a tag, and its tasks.
    """

    results: tuple[Result, ...]
    items: tuple[Item, ...]
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    answers_at_limit: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    code_execution: Mapping[str, Any] = field(default_factory=dict)
    earlier: Mapping[str, float | None] = field(default_factory=dict)
    requested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One row of a leaderboard: a result, the run behind it, its cost, and its addresses in the store.

    - `headline`: the task is one that the user asked for, not a subtask of it.
    - `truth`: quality of the selection by ground-truth labels, when the rows have labels.
    - `truth_labels`: the digest of these labels; empty where it was not recorded.
    - `budget_rows`: the rows that the budget asks for; None for budgets of tokens and where it was not recorded.
    - `checks`: diagnostics of the scores (see `sweeps/grouping/collect.py`).
    - `method`: the selector's name. `selector`: that name with `settings`, by which its runs in the table differ.
    - `table`: a number shared by rows with the same model, pool, recipe and evaluation.
    - `members`: the tasks of a group.
    - `higher_is_better`: False for metrics such as perplexity.
    - `value`, `seconds_train`, `seconds_evaluate`: None when the run was not evaluated or trained. A run without an
      evaluation has one row, without a task.
    - `result`: the address of the evaluation, or else of the selection.
    - `currency`: of `money`; empty without a price.
    - `targetless`: the scores are the same for every target.
    - `budget`: empty when no row was selected, `WHOLE` when all were; `budgetless` marks both cases.
    - `selected_rows`, `answer_tokens`, `seconds_select`: None when no row was selected.
    """

    selector: str
    target: str
    budget: str
    seed: int
    model: str
    task: str
    metric: str
    value: float | None
    stderr: float | None
    n: int
    headline: bool
    selected_rows: int | None
    answer_tokens: int | None
    seconds_select: float | None
    seconds_train: float | None
    seconds_evaluate: float | None
    device_hours: float
    money: float | None
    selection: str
    adapter: str
    evaluation: str
    run: str
    missing: str = ""
    truth: Mapping[str, float] = field(default_factory=dict)
    checks: Mapping[str, float] = field(default_factory=dict)
    method: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    pool: str = ""
    table: int = 0
    members: tuple[Member, ...] = ()
    higher_is_better: bool = True
    result: str = ""
    targetless: bool = False
    budgetless: bool = False
    currency: str = ""
    truth_labels: str = ""
    budget_rows: int | None = None

    @property
    def outcome(self) -> str:
        """The identity of the result: runs that share it count once."""
        return self.result or self.evaluation or self.run
