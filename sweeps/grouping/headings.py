"""Table headings: the model, pool, recipe and evaluation of a table in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nait.sweeps.grouping.names import DIGEST, brief, cut, some
from nait.sweeps.grouping.recorded_facts import Facts

if TYPE_CHECKING:
    from nait.sweeps.grouping.boards import PlacedRun

MOST_TASKS = 3
MOST_NAME = 32


@dataclass(frozen=True)
class Heading:
    """The model, pool, recipe and evaluation of a table, readable. `evaluation` is empty without an evaluation."""

    model: str
    pool: str
    recipe: str
    evaluation: str

    @property
    def text(self) -> str:
        """The heading as one line."""
        parts = [f"model {self.model}", f"pool {self.pool}" if self.pool else "", self.recipe]
        parts.append(f"evaluation {self.evaluation}" if self.evaluation else "not evaluated")
        return "; ".join(filter(None, parts))


def headings(groups: Sequence[Sequence[PlacedRun]]) -> list[Heading]:
    """The headings of these tables: names, and the facts in which the tables differ."""
    firsts = [next((run for run in group if run.identity.recipe), group[0]) for group in groups]
    models = _names([(run.identity.model, run.labels["model"]) for group in groups for run in group])
    pools = _names(
        [(run.identity.pool, run.labels["pool"]) for group in groups for run in group if run.identity.pool]
    )
    templates = _templates([run for group in groups for run in group])
    return [
        Heading(
            model=models[_key(run.identity.model)],
            pool=pools.get(_key(run.identity.pool), ""),
            recipe=_recipe(run.identity.recipe, [one.identity.recipe for one in firsts], templates),
            evaluation=_evaluation(run.identity.evaluation, [one.identity.evaluation for one in firsts]),
        )
        for run in firsts
    ]


def _key(facts: Facts) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(facts.items()))


def _names(known: Sequence[tuple[Facts, str]]) -> dict[tuple[tuple[str, str], ...], str]:
    """The name of each content, with the start of its digest where several contents share a name."""
    names: dict[tuple[tuple[str, str], ...], str] = {}
    for facts, name in known:
        key = _key(facts)
        names[key] = min(names.get(key, name), name)
    found = {}
    for key, name in names.items():
        facts = dict(key)
        content = facts.get("model") or facts.get("pool") or ""
        shared = sum(other == name for other in names.values()) > 1
        short = cut(name, MOST_NAME)
        found[key] = f"{short} ({content[:DIGEST] or 'content unknown'})" if shared else short
    return found


def _templates(runs: Sequence[PlacedRun]) -> dict[str, str]:
    """Template digest -> option name, where exactly one template has that name."""
    named: dict[str, set[str]] = {}
    for run in runs:
        name = (run.record.manifest.get("options") or {}).get("template")
        digest = run.identity.recipe.get("template")
        if name and digest:
            named.setdefault(digest, set()).add(str(name))
    every = [name for names in named.values() for name in names]
    return {
        digest: next(iter(names))
        for digest, names in named.items()
        if len(names) == 1 and every.count(next(iter(names))) == 1
    }


def _recipe(own: Facts, others: Sequence[Facts], templates: Mapping[str, str]) -> str:
    """Such as `lora, 3 epochs, batch_size=4`: the method, its length, and the settings in which the tables differ."""
    shown = {
        "train.method",
        "train.epochs",
        "train.max_steps",
        "train.max_tokens",
        "train.budget",
        "train.budget_share",
        "train.kind",
    }
    trained = any(key.startswith("train") for key in own)
    method = own.get("train.method", "")
    length = _length(own)
    comparable = [one for one in others if any(key.startswith("train") for key in one) == trained and one]

    def value(key: str) -> str:
        return templates.get(own[key], own[key][:DIGEST]) if key == "template" else brief(key, own[key])

    return ", ".join(filter(None, [method, length, *_differing(own, comparable, shown, value)]))


def _length(own: Facts) -> str:
    """How long a recipe trains: the updates or tokens at which it ends, or its epochs."""
    for key, unit in (("train.max_steps", "updates"), ("train.max_tokens", "tokens")):
        if (most := own.get(key, "null")).isdigit():
            return f"{most} {unit}"
    epochs = own.get("train.epochs")
    length = f"{epochs} epoch{'s' * (epochs != '1')}" if epochs else ""
    budget = own.get("train.budget", "epochs")
    if budget == "epochs":
        return length
    unit = "updates" if budget == "steps" else budget
    return f"the {unit} of {length} on {float(own.get('train.budget_share', '0.1')):.0%} of the pool"


def _evaluation(own: Facts, others: Sequence[Facts]) -> str:
    """Such as `gsm8k, mmlu, seed=3`."""
    if not own:
        return ""
    evaluated = [one for one in others if one]
    tasks = own.get("eval.tasks", "").split(", ")
    whole = len(tasks) <= MOST_TASKS or len({one.get("eval.tasks") for one in evaluated}) == 1
    shown = {"eval.tasks"} if whole else set()
    rest = _differing(own, evaluated, shown, lambda key: brief(key, own[key]))
    return ", ".join([some(tasks, MOST_TASKS), *rest])


def _differing(
    own: Facts, others: Sequence[Facts], shown: set[str], value: Callable[[str], str]
) -> list[str]:
    """`key=value` for the facts in which the tables differ."""
    keys = [key for key in sorted(own) if key not in shown and len({one.get(key) for one in others}) > 1]
    return [f"{key.split('.', 1)[-1]}={value(key)}" for key in keys if own[key]]
