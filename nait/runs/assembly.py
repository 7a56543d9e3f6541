"""Assembly of a job from a resolved config. Everything is checked before a model is opened."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from nait.core.contracts import Adapting, Evaluator, HoldsOut, Model, Tracker, check_targets
from nait.core.dataset.duplicates import describe_duplicates
from nait.core.dataset.examples import Pool, Target
from nait.core.dataset.reading_warnings import describe_reading
from nait.core.estimates.human_units import counted, human_seconds
from nait.core.inputs.paths import FIX, check_no_file_in_the_way, check_writable
from nait.core.inputs.secrets import masked_parts
from nait.core.ranking.budgets import WHOLE
from nait.models.prompts.templates import Template
from nait.runs.job import Job, Parts, adapts, selects, trains
from nait.runs.job_checks import (
    BASE,
    check_answers,
    check_label,
    check_names,
    check_own_length,
    check_selector,
    check_split,
    check_training,
    label_of,
    repeated_pool,
)
from nait.runs.records.recorded_config import RecordedConfig
from nait.runs.truth_labels import labels_of
from nait.stages.checks.held_out_rows import HeldOutSplit, hold_out, with_tests
from nait.stages.checks.rendered_rows import check_method, rendered
from nait.stages.select import Selector
from nait.stages.train import for_pool
from nait.store import Store
from nait.store.store import OTHER_FOLDER
from nait.store.upkeep.inventory import over_limit
from nait.tracking.trackers import Trackers

log = logging.getLogger("nait")

HELD_OUT = "held_out"
"""The key of an evaluation that is made from held-out rows. No stage uses these rows as references."""
UNTRAINED = {"_target_": "nait.training.recipes.no_training.NoTraining"}


def assemble(
    config: Mapping[str, Any],
    build: Callable[[Any], Any],
    *,
    folder: Path,
    names: Mapping[str, str],
    other_selector: Callable[[str], Mapping[str, Any]],
) -> Job:
    """The job that a resolved config describes. `names` are the chosen options of the config groups.

    `other_selector` returns the config of another selector, by its name, under this job's other settings.

    Raises: NaitError for anything that the user must fix, before a model is loaded.
    """
    check_label(config["label"], names["selector"])
    check_label(config["selector"].get("name"), names["selector"], where="selector.name")
    config = _untrained(config, names["train"])
    parts = _parts(config, build, names=names, other_selector=other_selector)
    stages = config["stages"]
    store = Store(config["paths"]["store"], wait_seconds=config["store"]["wait_seconds"])
    check_no_file_in_the_way(store.root, fix=OTHER_FOLDER)
    check_writable(store.root, fix=OTHER_FOLDER)
    check_writable(folder, fix=FIX)
    scorers = [parts.selector.scorer] if selects(stages, parts.trainer) else []
    started = time.monotonic()
    pool = build(config["data"])
    targets = list(build(config["target"]))
    check_names(targets)
    if scorers:
        scorers += parts.selector.sharing_passes()
    for scorer in scorers if parts.selector.selects else ():
        check_targets(scorer, targets)
        check_own_length(scorer, parts.model)
    check_answers(pool)
    ground_truth = labels_of(pool, parts.truth, targets)
    pool, targets = _rendered(
        config, pool, targets, model=parts.model, store=store, template=parts.template,
        reference_template=parts.reference_template,
    )  # fmt: skip
    parts, targets = _held_out(config, build, parts, targets, store=store, folder=folder)
    suite: Evaluator | Adapting | None = parts.evaluator
    if isinstance(suite, Adapting) and not adapts(parts.trainer):
        parts = replace(parts, evaluator=suite.without_adapter())
    configured = parts.trainer if trains(stages, parts.trainer) else None
    if configured is not None:
        parts = replace(
            parts, trainer=for_pool(parts.trainer, pool, model=parts.model, template=parts.template)
        )
    for scorer in scorers:
        check_method(scorer, [pool, *targets], model=parts.model, store=store)
    _log_rows(pool, targets, time.monotonic() - started)
    read: list[Pool | Target] = [pool, *targets]
    warnings = [warning for rows in read for warning in (*describe_duplicates(rows), *describe_reading(rows))]
    warnings += repeated_pool(pool, targets)
    warnings += ground_truth.warnings if ground_truth else ()
    warnings += over_limit(store.root, config["store"]["limit_gb"])
    for warning in warnings:
        log.warning("%s", warning)
    return Job(
        parts=parts, pool=pool, targets=tuple(targets), ground_truth=ground_truth,
        labels=_labels(config, parts, pool, targets, selector=names["selector"]),
        seed=config["seed"], group=config["group"] or pool.name, folder=folder, store=store,
        tracker=guarded(build(config["tracking"])), recorded=RecordedConfig(masked_parts(config)),
        warnings=tuple(warnings), configured_trainer=configured,
    )  # fmt: skip


def guarded(tracker: Tracker) -> Trackers:
    """The tracker, wrapped so that an exception in it becomes a warning and does not end the run."""
    return tracker if isinstance(tracker, Trackers) else Trackers([tracker])


def _parts(
    config: Mapping[str, Any],
    build: Callable[[Any], Any],
    *,
    names: Mapping[str, str],
    other_selector: Callable[[str], Mapping[str, Any]],
) -> Parts:
    """The job's parts, checked as far as they can be without the pool."""
    model = build(config["model"])
    selector = _selector(config, build, name=names["selector"], other_selector=other_selector)
    check_selector(selector)
    built = {key: build(config[key]) for key in ("template", "engine", "train", "cost", "report")}
    built |= {
        key: build(config[key]) if config.get(key) else None
        for key in ("reference_template", "truth", "contamination", "traits")
    }
    stages = config["stages"]
    check_split(model, stages, plan=config["plan"])
    check_training(built["train"], model, stages, plan=config["plan"])
    evaluator = (
        build(config["eval"]) if "evaluate" in stages or (config["eval"] or {}).get(HELD_OUT) else None
    )
    if evaluator is not None and not isinstance(evaluator, HoldsOut):
        evaluator.check()
    return Parts(
        model=model, template=built["template"], reference_template=built["reference_template"],
        engine=built["engine"], selector=selector, trainer=built["train"], evaluator=evaluator,
        describer=built["traits"], reporter=built["report"], cost=built["cost"],
        contamination=built["contamination"], truth=built["truth"],
    )  # fmt: skip


def _held_out(
    config: Mapping[str, Any],
    build: Callable[[Any], Any],
    parts: Parts,
    targets: list[Target],
    *,
    store: Store,
    folder: Path,
) -> tuple[Parts, list[Target]]:
    """The parts with the suite of the held-out rows, if stages evaluate, and the targets without these rows."""
    suite: Evaluator | HoldsOut | None = parts.evaluator
    if not isinstance(suite, HoldsOut):
        return parts, targets
    if suite.test is None:
        splits = [hold_out(target, suite.held_out, parts.contamination) for target in targets]
    else:
        splits = with_tests(targets, _test_rows(config, build, suite.test, parts, store))
    for split in splits:
        log.info("%s", _described(split))
    evaluator: Evaluator | None = None
    if "evaluate" in config["stages"]:
        evaluator = suite.suite_of(
            {split.target.name: split.rows for split in splits},
            template=parts.reference_template or parts.template, model=parts.model, folder=folder / "heldout",
        )  # fmt: skip
        evaluator.check()
    return replace(parts, evaluator=evaluator), [split.target for split in splits]


def _described(split: HeldOutSplit) -> str:
    return f"Target '{split.target.name}': {len(split.rows)} held-out rows, {len(split.target)} references."


def _test_rows(
    config: Mapping[str, Any], build: Callable[[Any], Any], path: str, parts: Parts, store: Store
) -> Target:
    """The rows of a test file, read as the target's file is."""
    own = config["target"] if str(config["target"]["_target_"]).endswith(".read_target") else {}
    given = {**own, "_target_": "nait.data.pools.read_target", "path": path, "rows": None}
    tests: Target = build(given)[0]
    template = parts.reference_template or parts.template
    on_bad = given.get("on_bad", "error")
    return rendered(tests, template, model=parts.model, store=store, group="target", on_bad=on_bad)


def _selector(
    config: Mapping[str, Any],
    build: Callable[[Any], Any],
    *,
    name: str,
    other_selector: Callable[[str], Mapping[str, Any]],
) -> Selector:
    """The method, and the methods (config key `beside`) that share its passes."""
    own = _without_name(config["selector"])
    others = [other for other in config["beside"] if other != name]
    return Selector(
        scorer=build(own),
        order=build(config["order"]),
        budget=build(config["budget"]),
        config={"selector": own, "order": config["order"], "budget": config["budget"]},
        sharing_passes=cache(lambda: [build(_without_name(other_selector(other))) for other in others]),
    )


def _labels(
    config: Mapping[str, Any], parts: Parts, pool: Pool, targets: Sequence[Target], *, selector: str
) -> dict[str, Any]:
    """The names that tables show. `selector` is the chosen option, for a method without a name of its own."""
    return {
        "selector": config["label"] or config["selector"].get("name") or selector,
        "target": "+".join(target.name for target in targets),
        "budget": _budget_label(parts.selector),
        "seed": config["seed"],
        "model": str(parts.model.name),
        "pool": pool.name,
        "trained": parts.trainer.recipe is not None,
    }


def _log_rows(pool: Pool, targets: Sequence[Target], seconds: float) -> None:
    shown = ", ".join(f"{target.name} ({len(target):,})" for target in targets) or "none"
    rows = counted(len(pool), "row")
    log.info("Pool '%s': %s; targets: %s. Read in %s.", pool.name, rows, shown, human_seconds(seconds))


def _rendered(
    config: Mapping[str, Any],
    pool: Pool,
    targets: Sequence[Target],
    *,
    model: Model,
    store: Store,
    template: Template,
    reference_template: Template | None,
) -> tuple[Pool, list[Target]]:
    """The rows that their template renders completely. The targets' source files are no longer needed."""
    other = reference_template or template
    kept = rendered(
        pool, template, model=model, store=store, group="data", on_bad=config["data"].get("on_bad", "error")
    )
    on_bad = config["target"].get("on_bad", "error")
    return kept, [
        replace(rendered(target, other, model=model, store=store, group="target", on_bad=on_bad), source=None)
        for target in targets
    ]


def _untrained(config: Mapping[str, Any], recipe: str) -> Mapping[str, Any]:
    """The config; without a training recipe for the base model, even if a sweep sets one for all methods."""
    if config["selector"].get("name") != BASE or config["train"] == UNTRAINED:
        return config
    log.info("selector=%s evaluates the unchanged model: train=%s is ignored.", BASE, recipe)
    return {**config, "train": UNTRAINED}


def _without_name(selector: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in selector.items() if key != "name"}


def _budget_label(selector: Selector) -> str:
    """The budget in tables: empty for a method that selects no rows, the whole pool for an exhaustive one."""
    if not selector.selects:
        return ""
    return WHOLE if selector.exhaustive else label_of(selector.budget)
