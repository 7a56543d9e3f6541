"""Assembly: a resolved config in, a job with all its parts out, before any model is opened."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from nait.core.contracts import Budget, Model, check_targets
from nait.core.dataset.duplicates import describe_duplicates
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError, DataError
from nait.core.ranking.budgets import WHOLE
from nait.runs.job import Job, selects
from nait.runs.processes import splits
from nait.runs.truth_labels import labels_of
from nait.stages.checks.rendered_rows import check_method, rendered
from nait.stages.select import Selector
from nait.store import Store

log = logging.getLogger("nait")

BASE = "base"
"""The selector of the model as it is."""
UNTRAINED = {"_target_": "nait.training.no_training.NoTraining"}
RESERVED = ("random", "full", BASE, "base (not trained)")
"""Names that leaderboards give a meaning: the control and the references."""


def assemble(
    config: Mapping[str, Any],
    build: Callable[[Any], Any],
    *,
    folder: Path,
    names: Mapping[str, str],
    other_selector: Callable[[str], Mapping[str, Any]],
) -> Job:
    """The job that a resolved config describes. `names` are the groups' chosen options.

    `other_selector` gives the config of another selector by its name, under this job's other settings.

    Raises: NaitError for anything the user must mend; no network has been opened then.
    """
    check_label(config["label"], names["selector"])
    config = _untrained(config, names["train"])
    model = build(config["model"])
    scorer_config = _without_name(config["selector"])
    selector = Selector(
        scorer=build(scorer_config),
        order=build(config["order"]),
        budget=build(config["budget"]),
        config={"selector": scorer_config, "order": config["order"], "budget": config["budget"]},
        beside=cache(
            lambda: [
                build(_without_name(other_selector(name)))
                for name in config["beside"]
                if name != names["selector"]
            ]
        ),
    )
    check_selector(selector)
    parts = {key: build(config[key]) for key in ("template", "engine", "train", "cost", "report")}
    parts["reference_template"] = (
        build(config["reference_template"]) if config.get("reference_template") else None
    )
    for key in ("truth", "contamination", "traits"):
        parts[key] = build(config[key]) if config.get(key) else None
    stages = config["stages"]
    _check_split(model, stages, plan=config["plan"])
    if "evaluate" in stages:
        parts["eval"] = build(config["eval"])
        parts["eval"].check()
    started = time.monotonic()
    pool = build(config["data"])
    targets = list(build(config["target"]))
    _check_names(targets)
    if selector.selects and selects(stages, parts["train"]):
        for scorer in (selector.scorer, *selector.beside()):
            check_targets(scorer, targets)
    _check_answers(pool)
    parts["labelled"] = labels_of(pool, parts["truth"], targets)
    pool, targets = _rendered(config, pool, targets, model=model, parts=parts)
    if selects(stages, parts["train"]):
        store = Store(config["paths"]["store"])
        for scorer in (selector.scorer, *selector.beside()):
            check_method(scorer, [pool, *targets], model=model, store=store)
    shown = ", ".join(f"{target.name} ({len(target)})" for target in targets) or "none"
    seconds = time.monotonic() - started
    log.info("Pool %s: %d rows; targets: %s. Read in %.1f s.", pool.name, len(pool), shown, seconds)
    read: list[Pool | Target] = [pool, *targets]
    warnings = [said for rows in read for said in describe_duplicates(rows)]
    warnings += parts["labelled"].said if parts["labelled"] else ()
    for said in warnings:
        log.warning("%s", said)
    labels = {
        "selector": config["label"] or config["selector"].get("name") or names["selector"],
        "target": "+".join(target.name for target in targets),
        "budget": _budget_label(selector),
        "seed": config["seed"],
        "model": str(model.name),
        "pool": pool.name,
        "trained": parts["train"].recipe is not None,
    }
    return Job(
        config=config, labels=labels, folder=folder, store=Store(config["paths"]["store"]), model=model,
        pool=pool, targets=targets, selector=selector, parts=parts, tracker=build(config["tracking"]),
        warnings=warnings,
    )  # fmt: skip


def _rendered(
    config: Mapping[str, Any],
    pool: Pool,
    targets: Sequence[Target],
    *,
    model: Model,
    parts: Mapping[str, Any],
) -> tuple[Pool, list[Target]]:
    """The rows that the template takes; a target's file is not needed afterwards."""
    store = Store(config["paths"]["store"])
    own, other = parts["template"], parts["reference_template"] or parts["template"]
    kept = rendered(
        pool, own, model=model, store=store, group="data", on_bad=config["data"].get("on_bad", "error")
    )
    on_bad = config["target"].get("on_bad", "error")
    return kept, [
        replace(rendered(target, other, model=model, store=store, group="target", on_bad=on_bad), source=None)
        for target in targets
    ]


def _check_answers(pool: Pool) -> None:
    """Raises: DataError for a pool without any answer: nothing in it could be selected."""
    if not any(example.answered for example in pool.examples):
        raise DataError(
            f"none of its {len(pool)} rows has an answer",
            where=f"pool '{pool.name}'",
            mend="Name the column of the answers: 'data.columns={output: COLUMN}'.",
        )


def _check_split(model: Model, stages: Sequence[str], *, plan: bool) -> None:
    """Raises: ConfigError for what a model that is split among processes cannot be asked for."""
    if splits(model) and (plan or {"train", "evaluate"} & set(stages)):
        raise ConfigError(
            "a split model selects, and does nothing else",
            where="model.tensor_parallel=true",
            mend="Select with it: 'stages=[select]'. The same job without it then finds the scores in the store.",
        )


def check_label(label: str | None, selector: str) -> None:
    """Raises: ConfigError for a label that would pass one method off as another, such as the control."""
    if label in RESERVED and label != selector:
        raise ConfigError(
            f"'{label}' is the name of another selector than {selector}",
            where="label",
            mend="Choose another name: a leaderboard takes a row of that name for that selector's.",
        )


def _untrained(config: Mapping[str, Any], recipe: str) -> Mapping[str, Any]:
    """The config; that of the base model without a recipe, which a sweep may ask of all its methods."""
    if config["selector"].get("name") != BASE or config["train"] == UNTRAINED:
        return config
    log.info("selector=%s is the model as it is: train=%s does not apply to it.", BASE, recipe)
    return {**config, "train": UNTRAINED}


def _without_name(selector: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in selector.items() if key != "name"}


def _check_names(targets: Sequence[Target]) -> None:
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


def _budget_label(selector: Selector) -> str:
    """The budget as tables show it: empty where no row is selected, all of the pool where every row is taken."""
    if not selector.selects:
        return ""
    return WHOLE if selector.exhaustive else label_of(selector.budget)


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
