"""Checks of a job's settings and rows, before a model is opened."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from nait.core.contracts import Budget, Model, Scorer, Trainer
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError, DataError
from nait.core.ranks import workers_from
from nait.models.devices.process_group import can_meet
from nait.models.devices.sharded_network import relocatable
from nait.runs.processes.launch import is_tensor_parallel
from nait.stages.select import Selector

BASE = "base"
"""The selector that evaluates the model unchanged."""
CONTROL = "random"
"""The selector that others are compared with, and the name in tables of rows in a shuffled order."""
RESERVED = (CONTROL, "full", BASE, "base (not trained)")
"""Names with a meaning in leaderboards: the control and the references."""


def check_label(
    label: str | None, selector: str, *, where: str = "label", others: Collection[str] = ()
) -> None:
    """Raises: ConfigError for a label that is the name of another method, such as the control, in any case.

    `where`: its key. `others`: the names of further methods.
    """
    shown = str(label or "").strip().casefold()
    if shown != selector.casefold() and shown in (name.casefold() for name in (*RESERVED, *others)):
        raise ConfigError(
            f"'{label}' is the name of a selector other than {selector}",
            where=where,
            fix="Choose another name: leaderboards identify a selector by it.",
        )


def check_names(targets: Sequence[Target]) -> None:
    """Raises: DataError for duplicate target names; ConfigError for an empty name or one with a separator."""
    names = [target.name for target in targets]
    if len(set(names)) != len(names):
        raise DataError(
            f"two targets share a name: {', '.join(names)}", where="target", fix="Set target.name."
        )
    for name in names:
        if not name or "+" in name or "/" in name:
            raise ConfigError(
                f"a target cannot have the name '{name}'",
                where="target",
                fix="Name it without + and /: tables write 'a+b' for two targets and 'a/ROW' for a row of one.",
            )


def check_answers(pool: Pool) -> None:
    """Raises: DataError for a pool without any answer, from which no row could be selected."""
    if not any(example.answered for example in pool.examples):
        raise DataError(
            f"none of its {len(pool)} rows has an answer",
            where=f"pool '{pool.name}'",
            fix="Name the column of the answers: 'data.columns={output: COLUMN}'.",
        )


def repeated_pool(pool: Pool, targets: Sequence[Target]) -> list[str]:
    """Warnings for targets whose references are half of the pool's rows or more, such as the pool's own file."""
    found = []
    for target in targets:
        held = {(example.system, example.turns) for example in target.examples}
        shared = sum((example.system, example.turns) in held for example in pool.examples) if held else 0
        if 2 * shared >= len(pool) > 0:
            found.append(
                f"{shared:,} of the {len(pool):,} rows of the pool '{pool.name}' are references of the target "
                f"'{target.name}': it describes the pool, not a capability. Give target.path a file of its own."
            )
    return found


def check_split(model: Model, stages: Sequence[str], *, plan: bool) -> None:
    """Raises: ConfigError for stages that a tensor-parallel model does not support."""
    if is_tensor_parallel(model) and (plan or {"train", "evaluate"} & set(stages)):
        raise ConfigError(
            "a tensor-parallel model can only select",
            where="model.tensor_parallel=true",
            fix="Set 'stages=[select]'. The same job without this setting then finds the scores in the store.",
        )


def check_training(trainer: Trainer, model: Model, stages: Sequence[str], *, plan: bool) -> None:
    """Raises: ConfigError for a training that this command cannot run: sharded, or on a quantised base."""
    if not {"train", "evaluate"} & set(stages):
        return
    if "train" in stages:
        getattr(trainer, "check_machine", lambda: None)()
    if getattr(trainer, "sharding", "none") != "none":
        _check_sharding(trainer, model, plan=plan)


def _check_sharding(trainer: Trainer, model: Model, *, plan: bool) -> None:
    if plan:
        raise ConfigError(
            "a plan measures a training in one process",
            where="train.sharding",
            fix="Plan with train.sharding=none.",
        )
    if getattr(model, "device_map", None):
        raise ConfigError(
            "fsdp shards the weights over processes, and model.device_map spreads them over the devices of one",
            where="train.sharding",
            fix="Set model.device_map=null, or train.sharding=none.",
        )
    relocatable(model)
    count = workers_from(os.environ).count if can_meet(os.environ) else 1
    getattr(trainer, "check_processes", lambda _: None)(count)


def label_of(budget: Budget) -> str:
    """The budget's name in tables. Raises: ConfigError for a budget without a label."""
    label = getattr(budget, "label", None)
    if not isinstance(label, str) or not label.strip():
        raise ConfigError(
            f"{_name_of(budget)} has no label",
            where="budget",
            fix="Give it a property `label`, such as '10%' or '500 rows': tables group runs by it.",
        )
    return label


def check_selector(selector: Selector) -> None:
    """Raises: ConfigError for a scorer without `score`, or an order or budget that is not callable."""
    for group, part, call in (
        ("selector", selector.scorer, "score"),
        ("order", selector.order, "__call__"),
        ("budget", selector.budget, "__call__"),
    ):
        if not callable(getattr(part, call, None)):
            raise ConfigError(
                f"{_name_of(part)} has no method {call}",
                where=f"{group}._target_",
                fix="Name a class that fulfils the contract in nait/core/contracts.py.",
            )


def check_own_length(scorer: Scorer, model: Model) -> None:
    """Raises: ConfigError for a method whose own length limit is beyond what the model can read."""
    own, check = getattr(scorer, "max_length", None), getattr(model, "check_length", None)
    if isinstance(own, int) and check is not None:
        check(own, key="selector.max_length")


def _name_of(part: object) -> str:
    return getattr(part, "__name__", None) or type(part).__name__
