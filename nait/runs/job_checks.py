"""Checks of a job's settings and rows, before a model is opened."""

from __future__ import annotations

from collections.abc import Sequence

from nait.core.contracts import Budget, Model
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError, DataError
from nait.runs.processes import splits
from nait.stages.select import Selector

BASE = "base"
"""The selector that evaluates the model unchanged."""
RESERVED = ("random", "full", BASE, "base (not trained)")
"""Names that leaderboards give a meaning: the control and the references."""


def check_label(label: str | None, selector: str) -> None:
    """Raises: ConfigError for a label that would pass one method off as another, such as the control."""
    if label in RESERVED and label != selector:
        raise ConfigError(
            f"'{label}' is the name of another selector than {selector}",
            where="label",
            mend="Choose another name: a leaderboard takes a row of that name for that selector's.",
        )


def check_names(targets: Sequence[Target]) -> None:
    """Raises: DataError for two targets of one name; ConfigError for a name that reads as two."""
    names = [target.name for target in targets]
    if len(set(names)) != len(names):
        raise DataError(
            f"two targets share a name: {', '.join(names)}", where="target", mend="Set target.name."
        )
    for name in names:
        if not name or "+" in name or "/" in name:
            raise ConfigError(
                f"a target cannot have the name '{name}'",
                where="target",
                mend="Name it without + and /: tables write 'a+b' for two targets and 'a/ROW' for a row of one.",
            )


def check_answers(pool: Pool) -> None:
    """Raises: DataError for a pool without any answer: nothing in it could be selected."""
    if not any(example.answered for example in pool.examples):
        raise DataError(
            f"none of its {len(pool)} rows has an answer",
            where=f"pool '{pool.name}'",
            mend="Name the column of the answers: 'data.columns={output: COLUMN}'.",
        )


def check_split(model: Model, stages: Sequence[str], *, plan: bool) -> None:
    """Raises: ConfigError for what a model that is split among processes cannot be asked for."""
    if splits(model) and (plan or {"train", "evaluate"} & set(stages)):
        raise ConfigError(
            "a split model selects, and does nothing else",
            where="model.tensor_parallel=true",
            mend="Select with it: 'stages=[select]'. The same job without it then finds the scores in the store.",
        )


def label_of(budget: Budget) -> str:
    """What tables call a budget. Raises: ConfigError for one that does not say."""
    label = getattr(budget, "label", None)
    if not isinstance(label, str) or not label.strip():
        raise ConfigError(
            f"{_name_of(budget)} has no label",
            where="budget",
            mend="Give it a property `label`, such as '10%' or '500 rows': tables group runs by it.",
        )
    return label


def check_selector(selector: Selector) -> None:
    """Raises: ConfigError for a scorer that cannot score, an order or a budget that cannot be called."""
    for group, part, call in (
        ("selector", selector.scorer, "score"),
        ("order", selector.order, "__call__"),
        ("budget", selector.budget, "__call__"),
    ):
        if not callable(getattr(part, call, None)):
            raise ConfigError(
                f"{_name_of(part)} has no method {call}",
                where=f"{group}._target_",
                mend="Name a class that fulfils the contract in nait/core/contracts.py.",
            )


def _name_of(part: object) -> str:
    return getattr(part, "__name__", None) or type(part).__name__
