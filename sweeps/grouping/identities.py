"""Identities: what a run's numbers hang on, read from the keys of its artifacts.

Facts are flat: `layers` and `seed` of the selector, `order.seed`, `budget.ratio`, `train.batch_size`, `eval.seed`.
What no artifact and no fingerprint tells is taken from the settings in the run's record, and named as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nait.core.addresses import address
from nait.store import Artifact
from nait.sweeps.stats.contrasts import BASE, CONTROL, FULL, TARGETLESS
from nait.sweeps.stored_runs.run_set import RunSet

ANY = "any"
"""The column of a method that gives one score for all targets."""
SHUFFLED = "Shuffled"
"""The order that makes any selector random: how a sweep over a method's own keys brings its control."""
AS_HIGHEST = ("BestRank", "MeanZScore", "RoundRobin")
"""Orders of several columns that rank a single one as `Highest` does."""
SEED = "seed"
OF_THE_RUN = ""
"""What stands for a seed that follows the run's."""
NO_DIFFERENCE = (
    "early_exit", "budget.allow_fewer", "eval.online", "eval.allow_partial", "eval.include", "eval.tasks",
    "train.deterministic", "train.gradient_checkpointing", "model.attn_implementation", "model.tensor_parallel",
    "model.trust_remote_code", "model.download",
)  # fmt: skip
"""Keys of older records' settings that change no result."""
Facts = Mapping[str, str]


@dataclass(frozen=True)
class Identity:
    """Everything that the addresses of a run's artifacts hang on, but for the run's seed.

    `method`: selector, order, budget and reference sets. The other four make a table. `unknown` names the parts that
    are known by names and settings alone. `targetless`: the scores are the same for every target. `exhaustive`: every
    eligible row is selected, whatever the budget.
    """

    method: Facts
    model: Facts
    pool: Facts
    recipe: Facts
    evaluation: Facts
    unknown: tuple[str, ...] = ()
    targetless: bool = False
    exhaustive: bool = False

    @property
    def table(self) -> tuple[str, ...]:
        """What runs of one table share."""
        return tuple(address(part) for part in (self.model, self.pool, self.recipe, self.evaluation))

    @property
    def seeds(self) -> dict[str, str]:
        """The seeds among the facts, by key; the run's own, which nothing here holds, excepted."""
        both = {**self.method, **self.evaluation}
        return {key: value for key, value in both.items() if key.rsplit(".", 1)[-1] == SEED}

    def with_seeds(self, seeds: Facts) -> Identity:
        """The same with these seeds in place of its own."""
        method = {key: seeds.get(key, value) for key, value in self.method.items()}
        return replace(
            self, method=method, evaluation={k: seeds.get(k, v) for k, v in self.evaluation.items()}
        )


def is_shuffled(record: Artifact) -> bool:
    """Whether a run's rows were drawn, whatever their scores say."""
    return bool((record.manifest.get("settings") or {}).get("order") == SHUFFLED)


def method_name(record: Artifact) -> str:
    """The selector's name or the user's label; random for a selector whose scores a shuffled order ignored."""
    named = is_shuffled(record) and not record.manifest.get("label")
    return CONTROL if named else str(record.manifest["labels"]["selector"])


def is_base(record: Artifact) -> bool:
    """Whether a run evaluated the model as it is."""
    return bool(record.manifest["links"].get("evaluation")) and not record.manifest["labels"]["trained"]


def identity(runs: RunSet, record: Artifact) -> Identity:
    """The identity of a recorded run."""
    source = _Source(runs, record)
    base = is_base(record)
    return Identity(
        method={} if base else source.method(),
        model=source.model(),
        pool={} if base else source.pool(),
        recipe={} if base else source.recipe(),
        evaluation=source.evaluation(),
        unknown=tuple(source.unknown(base=base)),
        targetless=source.targetless,
        exhaustive=source.exhaustive and not base,
    )


class _Source:
    """What the store and the record of one run say."""

    def __init__(self, runs: RunSet, record: Artifact) -> None:
        self.facts: Mapping[str, Any] = record.manifest
        self.name = method_name(record)
        self.settings = {
            str(key): str(value)
            for key, value in (record.manifest.get("settings") or {}).items()
            if key not in NO_DIFFERENCE
        }
        links = record.manifest["links"]
        found = {
            kind: runs.find(kind, str(links[link])) if links.get(link) else None
            for kind, link in (
                ("scores", "scores"),
                ("selections", "selection"),
                ("evaluations", "evaluation"),
            )
        }
        self.scored = found["scores"].manifest if found["scores"] else {}
        self.scores: Mapping[str, Any] = self.scored.get("key", {})
        self.selection: Mapping[str, Any] = found["selections"].manifest["key"] if found["selections"] else {}
        self.evaluated: Mapping[str, Any] = (
            found["evaluations"].manifest["key"] if found["evaluations"] else {}
        )
        self.training: Mapping[str, Any] = self.facts.get("training") or {}
        if not self.training and links.get("adapter"):
            adapter = runs.find("adapters", str(links["adapter"])) if _is_address(links["adapter"]) else None
            self.training = adapter.manifest["key"] if adapter else {}
        self.text: Mapping[str, Any] = _mapping(self.scores.get("pool"))
        self.prints: Mapping[str, Any] = self.facts.get("fingerprints") or {}

    def unknown(self, *, base: bool) -> list[str]:
        """The parts that no content tells."""
        lacking = [] if self.model_content else ["the model's weights"]
        if not base:
            lacking += [] if self.pool_content else ["the pool's rows"]
            lacking += [] if "selector" in self.scores else ["the selector's settings"]
            trained = self.facts["links"].get("adapter") or self.facts["links"].get("evaluation")
            lacking += [] if self.training or not trained else ["the training recipe"]
        if self.facts["links"].get("evaluation") and "tasks" not in self.evaluated.get("suite", {}):
            lacking.append("the evaluation's tasks")
        return lacking

    @property
    def targetless(self) -> bool:
        """Whether no reference set decides the scores: one column for all targets, of a scorer that wraps no other.

        A scorer that wraps another may hang on a target through it. A target of the user's may be called `any`.
        """
        if self.name in TARGETLESS:
            return True
        columns = list(self.scored.get("targets") or ())
        wraps = _wraps(self.scores.get("selector"))
        return columns == [ANY] and self.facts["labels"]["target"] != ANY and not wraps

    @property
    def exhaustive(self) -> bool:
        """Whether every eligible row was selected: by the scores, or by the name where the store has none of them."""
        return bool(self.scored.get("exhaustive", self.name == FULL))

    @property
    def model_content(self) -> str:
        places = (self.training, self.text, self.evaluated, self.prints)
        return next((str(place["model"]) for place in places if place.get("model")), "")

    @property
    def pool_content(self) -> str:
        return str(self.text.get("examples") or self.prints.get("pool") or "")

    def model(self) -> Facts:
        if self.model_content:
            return {"model": self.model_content}
        settings = {k: v for k, v in self._settings("model") if k != "model.max_length"}
        return {"name": str(self.facts["labels"]["model"]), **settings}

    def pool(self) -> Facts:
        if self.pool_content:
            return {"pool": self.pool_content}
        return {"name": str(self.facts["labels"]["pool"])}

    def recipe(self) -> Facts:
        """How texts are written and cut and, of a run that did more than select, how the model is trained."""
        template = self.training.get("template") or self.text.get("template") or self.prints.get("template")
        found = {"template": str(template)} if template else dict(self._settings("template"))
        length = self.text.get("max_length") or self.training.get("max_length")
        length = length or self.settings.get("model.max_length")
        found |= {"max_length": str(length)} if length else {}
        links = self.facts["links"]
        if not (links.get("adapter") or links.get("evaluation")):
            return found
        recipe = self.training.get("recipe")
        return found | (flat("train", recipe) if recipe else dict(self._settings("train")))

    def evaluation(self) -> Facts:
        if not self.facts["links"].get("evaluation"):
            return {}
        suite = dict(self.evaluated.get("suite", {}))
        tasks = suite.pop("tasks", None)
        found = {"eval.tasks": ", ".join(suite.pop("requested", ()))}
        if tasks is None:  # of an older make
            found |= dict(self._settings("eval"))
        else:
            found |= _of_tasks(tasks)
        means = suite.pop("means", None)
        found |= {"eval.means": address(means)} if means else {}
        if "evaluation" in self.evaluated:
            found["eval.version"] = said(self.evaluated["evaluation"])
        return found | flat("eval", suite)

    def method(self) -> Facts:
        found = self._random() if self.name == CONTROL else self._selector() | self._order()
        budget = {} if self.exhaustive else flat("budget", _mapping(self.selection.get("budget")))
        found |= {key: value for key, value in budget.items() if key not in NO_DIFFERENCE}
        if "selection" in self.selection:
            found["selection version"] = said(self.selection["selection"])
        return found if self.targetless else found | self._references()

    def _random(self) -> dict[str, str]:
        """Of random, whatever its scores were: a shuffled order heeds which rows have one, and nothing else."""
        order = self._order()
        if order.get("order") == SHUFFLED or self.settings.get("order") == SHUFFLED:
            left_out = self.scored.get("ineligible")
            return {**order, **({"left out": said(left_out)} if left_out else {})}
        own = (
            self._selector()
            if self.facts["labels"]["selector"] == CONTROL and self.scores.get("selector")
            else {}
        )
        return {key: value for key, value in own.items() if key != "scorer"} | order

    def _selector(self) -> dict[str, str]:
        config = _mapping(self.scores.get("selector"))
        if not config:
            own = (
                key for key in self.settings if not key.startswith(("train.", "model.", "eval.", "template."))
            )
            named = {("scorer" if key == "_target_" else key): self.settings[key] for key in own}
            return {k: v for k, v in named.items() if k != "order" and not k.startswith("order.")}
        found = flat("", {key: value for key, value in config.items() if key not in NO_DIFFERENCE})
        for key, name in (("scores", "scores version"), ("version", "scorer version")):
            found |= {name: said(self.scores[key])} if key in self.scores else {}
        if self.scores.get("content"):
            found["content"] = address(self.scores["content"])
        return found

    def _order(self) -> dict[str, str]:
        found = flat("order", _mapping(self.selection.get("order")))
        if not found:
            found = {k: v for k, v in self.settings.items() if k == "order" or k.startswith("order.")}
        columns: Sequence[str] = self.scored.get("targets") or ()
        if len(columns) == 1 and found.get("order") in AS_HIGHEST:
            found["order"] = "Highest"
        return found

    def _references(self) -> dict[str, str]:
        counts = self.facts.get("reference_rows") or {}
        found = {"reference rows": "+".join(str(n) for n in dict.fromkeys(counts.values()))} if counts else {}
        sets = self._sets()
        found |= {"reference": self.reference} if self.reference else {}
        templates = {str(one["template"]) for one in sets if "template" in one} - {
            str(self.text.get("template"))
        }
        return found | ({"reference_template": "+".join(sorted(templates))} if templates else {})

    def _sets(self) -> list[Mapping[str, Any]]:
        return [one for one in self.scores.get("targets") or () if isinstance(one, Mapping)]

    @property
    def reference(self) -> str:
        """The reference sets' content, one digest a target."""
        contents = [str(one.get("examples", "")) for one in self._sets()]
        return "+".join(contents or [str(value) for value in (self.prints.get("targets") or {}).values()])

    def _settings(self, group: str) -> list[tuple[str, str]]:
        return [(key, value) for key, value in self.settings.items() if key.startswith(f"{group}.")]


def flat(group: str, node: Mapping[str, Any]) -> dict[str, str]:
    """A nested config as `group.key` -> what a table shows; a class by its name, under the group's own."""
    found: dict[str, str] = {}
    for key, value in node.items():
        name = f"{group}.{key}" if group else str(key)
        if key == "_target_":
            found[group or "scorer"] = str(value).rsplit(".", 1)[-1]
        elif isinstance(value, Mapping):
            found |= flat(name, value)
        else:
            found[name] = said(value)
    return found


def said(value: Any) -> str:
    """A config's value as it is typed: `3`, `0.1`, `null`, `true`, `[1, 2]`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(said(one) for one in value)}]"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {said(one)}" for key, one in sorted(value.items()))
    return str(value)


def _of_tasks(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What the tasks of a suite are: the number of examples shown, definitions and data as one digest each."""
    shots = {name: task.get("num_fewshot") for name, task in tasks.items()}
    alike = set(map(said, shots.values()))
    rest = {
        name: {key: value for key, value in task.items() if key not in ("num_fewshot", "data")}
        for name, task in tasks.items()
    }
    return {
        "eval.num_fewshot": alike.pop() if len(alike) == 1 else said(shots),
        "eval.definitions": address(rest),
        "eval.data": address({name: task.get("data") for name, task in tasks.items()}),
    }


def _wraps(config: object) -> bool:
    """Whether a class's config holds another class."""
    if isinstance(config, Mapping):
        return any(_is_class(value) or _wraps(value) for value in config.values())
    return isinstance(config, (list, tuple)) and any(_is_class(one) or _wraps(one) for one in config)


def _is_class(value: object) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def reference(runs: RunSet, record: Artifact) -> str:
    """The content of a run's reference sets, empty where the store and the record do not tell."""
    return _Source(runs, record).reference


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_address(link: object) -> bool:
    return isinstance(link, str) and len(link) > 8 and set(link) <= set("0123456789abcdef")


def name_of(record: Artifact) -> str:
    """The method's name, that of the base model for one that was not trained."""
    return BASE if is_base(record) else method_name(record)
