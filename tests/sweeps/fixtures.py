"""Runs in a store, without having run anything: what the tests of the sweeps wing look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nait.core.results import Evaluation, Item, Member, Result
from nait.core.scores import ScoreTable
from nait.core.selection import Selection
from nait.stages.evaluations import write_evaluation
from nait.stages.report import record_run
from nait.stages.tables import write_scores, write_selection
from nait.store import Store

TASKS = ("nano_math", "nano_code", "nano_facts")
ITEMS = 60
POOL = 200


def evaluate(store: Store, name: str, shares: Mapping[str, float], seed: int) -> str:
    """An evaluation whose items are right as often as `shares` says, and the group of all of them."""
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

    key = {"suite": {"requested": ["nano", *shares]}, "name": name, "seed": seed}
    return store.produce("evaluations", key, write).address


def select(
    store: Store, name: str, targets: tuple[str, ...], rows: int, *, seed: int = 0, texts: bool = False
) -> tuple[str, str]:
    """The addresses of a score table whose columns follow `targets`, and of its highest `rows` rows."""
    generator = np.random.default_rng([seed, *name.encode()])
    common = np.random.default_rng(9).random(POOL)
    own = np.random.default_rng([1, *"+".join(targets).encode()]).random(POOL)
    values = common + own + 0.3 * generator.random(POOL) if name != "random" else generator.random(POOL)
    ids = tuple(f"row{k:03d}" for k in range(POOL))
    table = ScoreTable(ids, ("+".join(targets),), values[:, None], unit="", definition="")
    tokens = np.arange(POOL) % 50 + 1
    facts = {
        "targets": list(table.targets), "unit": "", "definition": "", "exhaustive": False,
        "length_correlation": {table.targets[0]: 0.6}, "diagnostics": {}, "warnings": [], "made_of": [],
    }  # fmt: skip
    key = {
        "name": name, "pool": {"examples": "c0ffee00", "model": "m0"}, "seed": seed,
        "targets": [{"examples": f"{target}00"} for target in targets],
    }  # fmt: skip

    def scores(part: Path) -> dict[str, Any]:
        write_scores(part, table, tokens)
        return facts

    scored = store.produce("scores", key, scores)
    ranking = np.argsort(-values)
    chosen = Selection(tuple(ids[r] for r in ranking[:rows]), tuple(int(r) for r in ranking[:rows]), rows)

    def selection(part: Path) -> dict[str, Any]:
        write_selection(part, table, ranking, chosen, tokens)
        if texts:
            lines = [
                json.dumps({"instruction": f"Say <b>{key}</b> & stop", "output": "x" * 300})
                for key in chosen.ids
            ]
            (part / "selected.jsonl").write_text("\n".join(lines) + "\n")
        return {"rows": rows, "answer_tokens": rows, "digest": name}

    made = store.produce("selections", {"scores": scored.address, "budget": rows}, selection)
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
    **settings: str,
) -> str:
    """A run's record, with all it points at; `also`: links to more."""
    shares = dict(share) if isinstance(share, Mapping) else dict.fromkeys(TASKS, share)
    name = f"{selector} {target} {budget} {sorted(settings.items())}"
    scores, selection = select(
        store, selector, tuple(target.split("+")), rows, seed=seed if selector == "random" else 0, texts=texts
    )
    links = {"scores": scores, "selection": selection, "adapter": "cd", **(also or {})}
    if evaluated:
        links["evaluation"] = evaluate(store, name, shares, seed)
    labels = {
        "selector": selector, "target": target, "budget": budget, "seed": seed, "model": "m", "pool": "p",
        "trained": trained,
    }  # fmt: skip
    known = {
        "selected_rows": rows, "answer_tokens": 10 * rows, "device_hours": 0.1, "money": None, "settings": settings,
        "phase_seconds": {"select": 1.0 + len(selector), "train": 2.0, "evaluate": 3.0},
        "truth": {} if evaluated else {"precision": shares[TASKS[0]]},
    }  # fmt: skip
    return record_run(store, {**links, "name": name}, labels, {**known, **(facts or {})}).address
