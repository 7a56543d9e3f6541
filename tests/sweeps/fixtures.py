"""Artifacts of runs that were never run, written into a store for the tests of the sweeps wing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nait.core.ranking.score_table import ScoreTable
from nait.core.ranking.selection import Selection
from nait.core.statistics.results import Evaluation, Item, Member, Result
from nait.stages.artifacts.evaluation_files import write_evaluation
from nait.stages.artifacts.score_files import write_scores, write_selection
from nait.stages.report import record_run
from nait.store import Store

TASKS = ("nano_math", "nano_code", "nano_facts")
ITEMS = 60
POOL = 200


def evaluate(
    store: Store, name: str, shares: Mapping[str, float], seed: int, suite: Mapping[str, Any] | None = None
) -> str:
    """The address of an evaluation with these shares of right items by task, and the group of all tasks.

    `suite`: further entries of the suite in its key.
    """
    generator = np.random.default_rng([seed, *name.encode()])
    difficulty = np.random.default_rng(0).random(ITEMS)
    results, items = [], []
    for task, share in shares.items():
        right = (0.5 * difficulty + 0.5 * generator.random(ITEMS) < share).astype(float)
        items += [Item(task, k, "acc", "", float(value), f"h{k}") for k, value in enumerate(right)]
        error = float(right.std() / ITEMS**0.5)
        results.append(Result(task, "acc", float(right.mean()), error, ITEMS))
    mean = float(np.mean([one.value for one in results]))
    members = tuple(Member(task, "acc", "", 1 / len(shares)) for task in shares)
    group = Result("nano", "acc_macro", mean, 0.03, ITEMS * len(shares), is_group=True, members=members)

    def write(part: Path) -> dict[str, Any]:
        write_evaluation(part, Evaluation((group, *results), tuple(items)))
        return {}

    tasks = {task: {"definition": "d", "data": None, "num_fewshot": 0} for task in shares}
    asked = {"requested": ["nano", *shares], "tasks": tasks, "seed": 1234, **(suite or {})}
    key = {"suite": asked, "model": "m0", "name": name, "seed": seed}
    return store.produce("evaluations", key, write).address


def select(
    store: Store,
    name: str,
    targets: tuple[str, ...],
    rows: int,
    *,
    seed: int = 0,
    texts: bool = False,
    selector: Mapping[str, Any] | None = None,
    order: Mapping[str, Any] | None = None,
    text: Mapping[str, Any] | None = None,
) -> tuple[str, str]:
    """The addresses of a score table with the columns `targets`, and of a selection of its highest `rows` rows.

    `selector`, `order` and `text` (model, template, pool): further entries of their keys.
    """
    generator = np.random.default_rng([seed, *name.encode()])
    common = np.random.default_rng(9).random(POOL)
    own = np.random.default_rng([1, *"+".join(targets).encode()]).random(POOL)
    drawn = name in ("random", "tilted_random")
    values = generator.random(POOL) if drawn else common + own + 0.3 * generator.random(POOL)
    ids = tuple(f"row{k:03d}" for k in range(POOL))
    table = ScoreTable(ids, ("+".join(targets),), values[:, None], unit="", definition="")
    tokens = np.arange(POOL) % 50 + 1
    facts = {
        "targets": list(table.targets), "unit": "", "definition": "", "exhaustive": name == "full",
        "length_correlation": {table.targets[0]: 0.6}, "diagnostics": {}, "warnings": [], "made_of": [],
    }  # fmt: skip
    pool = {"examples": "c0ffee00", "model": "m0", "template": "t0", "max_length": 256, **(text or {})}
    key = {
        "scores": 1, "version": 1, "name": name, "pool": pool, "seed": seed,
        "selector": {"_target_": f"x.{name}", **(selector or {})},
        "targets": [{**pool, "examples": f"{target}00"} for target in targets],
    }  # fmt: skip

    def scores(part: Path) -> dict[str, Any]:
        write_scores(part, table, tokens)
        return facts

    scored = store.produce("scores", key, scores)
    ranking = np.argsort(-values)
    chosen = Selection(tuple(ids[r] for r in ranking[:rows]), tuple(int(r) for r in ranking[:rows]), rows)

    def cut(part: Path) -> dict[str, Any]:
        write_selection(part, table, ranking, chosen, tokens)
        if texts:
            lines = [
                json.dumps({"instruction": f"Say <b>{key}</b> & stop", "output": "x" * 300})
                for key in chosen.ids
            ]
            (part / "selected.jsonl").write_text("\n".join(lines) + "\n")
        return {"rows": rows, "answer_tokens": rows, "digest": chosen.digest}

    chosen_by = {
        "scores": scored.address,
        "order": order or {"_target_": "x.Highest"},
        "budget": {"count": rows},
    }
    made = store.produce("selections", chosen_by, cut)
    return scored.address, made.address


def put(
    store: Store,
    selector: str,
    *,
    target: str = "math",
    seed: int = 0,
    share: float | Mapping[str, float] = 0.5,
    budget: str = "10%",
    rows: int = 20,
    texts: bool = False,
    evaluated: bool = True,
    trained: bool = True,
    facts: Mapping[str, Any] | None = None,
    also: Mapping[str, str] | None = None,
    named: bool = True,
    **settings: str,
) -> str:
    """The address of a run's record, with the artifacts that it links to; `also`: further links.

    `named`: a link "name", which leads to no artifact, distinguishes records of equal settings.

    `settings` are the run's config: `train.*` enters the key of the adapter, `eval.*` that of the evaluation,
    `model.*` and `template.*` that of the texts, `order` that of the selection, all others that of the scores.
    """
    shares = dict(share) if isinstance(share, Mapping) else dict.fromkeys(TASKS, share)
    groups: dict[str, dict[str, str]] = {}
    for key, value in settings.items():
        group, dot, name = key.partition(".")
        named = dot and group in ("train", "eval", "model", "template", "order", "selector")
        groups.setdefault(group if named else "selector", {})[name if named else key] = value
    own = groups.get("selector", {})
    order = {"_target_": f"x.{own.pop('order', 'Highest')}", **groups.get("order", {})}
    ignored = order["_target_"] == "x.Shuffled"
    text = {
        **({"model": groups["model"]["model"]} if "model" in groups else {}),
        **groups.get("template", {}),
    }
    scores, selection = select(
        store, selector, tuple(target.split("+")), rows, texts=texts,
        seed=seed if selector == "random" else int(own.get("subset", 0)),
        selector=own, order=order, text=text,
    )  # fmt: skip
    links = {
        "scores": scores,
        "selection": selection,
        **({"adapter": "cd"} if evaluated else {}),
        **(also or {}),
    }
    rest = {key: value for key, value in settings.items() if not ignored or "." in key}
    drawn = ignored or selector == "random"  # the rows of random do not depend on the target
    name = f"{'random' if drawn else selector} {'' if drawn else target} {budget} {sorted(rest.items())}"
    name = (
        "base" if not trained else "full" if selector == "full" else name
    )  # no budget or target changes these
    if evaluated and "evaluation" not in links:
        links["evaluation"] = evaluate(store, name, shares, seed if trained else 0, groups.get("eval"))
    labels = {
        "selector": selector, "target": target, "budget": budget, "seed": seed, "model": "m", "pool": "p",
        "trained": trained,
    }  # fmt: skip
    recipe = {"method": "lora", "epochs": 3.0, **groups.get("train", {})}
    known = {
        "selected_rows": rows, "answer_tokens": 10 * rows, "device_hours": 0.1, "money": None, "settings": settings,
        "phase_seconds": {"select": 1.0 + len(selector), "train": 2.0, "evaluate": 3.0},
        "truth": {} if evaluated else {"precision": shares[TASKS[0]]},
        "training": {"model": text.get("model", "m0"), "template": text.get("template", "t0"), "recipe": recipe},
    }  # fmt: skip
    return record_run(
        store, {**links, **({"name": name} if named else {})}, labels, {**known, **(facts or {})}
    ).address
