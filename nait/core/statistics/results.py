"""Results: what an evaluation measured, and the rows of a leaderboard made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Member:
    """One task of a group's mean: value = sum of weight * the member's own value."""

    task: str
    metric: str
    filter: str
    weight: float


@dataclass(frozen=True)
class Result:
    """One metric of one task. `stderr` is None where the metric has none; `n` counts the items.

    `is_group`: this is the mean of a group of tasks, `members`. `missing` names those of them that could not be run.
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
    """The outcome of one evaluation item: what paired statistics are made of."""

    task: str
    doc_id: int
    metric: str
    filter: str
    value: float
    doc_hash: str = ""


@dataclass(frozen=True)
class Evaluation:
    """Everything one evaluation measured. `missing` names the subtasks that could not be run."""

    results: tuple[Result, ...]
    items: tuple[Item, ...]
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One line of a leaderboard: a result, what produced it, what it cost, where it is kept.

    `headline` marks the names the user asked for; the others are subtasks of them. `truth` holds what the
    selection is worth by the rows' own labels, where they carry any; `checks` what a reader should know of the
    scores (see `sweeps/stored_runs/collect.py`). A run that was not evaluated has one row, without a task.
    `method` is the selector's own name, `selector` that name with `settings`, in which runs of it differ within
    their table.
    `table` numbers the rows that share model, pool, recipe and evaluation. `members` are a group's tasks.
    `higher_is_better`: of the metric; of a perplexity it is false. `value`, `seconds_train` and `seconds_evaluate`
    are None where the run was not evaluated or trained. `result` names what the run came to: its evaluation, or else
    the rows that it selected. `targetless`: its scores are the same for every target.

    `budget` is empty where no row was selected, and `WHOLE` where all were, whatever was asked for (`budgetless`: one
    of the two). `selected_rows`, `answer_tokens` and `seconds_select` are None where no row was selected.
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

    @property
    def outcome(self) -> str:
        """What tells two results apart: runs that share it are one result."""
        return self.result or self.evaluation or self.run
