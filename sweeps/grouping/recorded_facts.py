"""The facts of one run that determine its numbers, from its record and the keys of its artifacts.

Facts are flat: `layers` and `seed` of the selector, `order.seed`, `budget.ratio`, `train.batch_size`, `eval.seed`.
A fact without an artifact or fingerprint comes from the settings in the run's record and is listed as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nait.core.addresses import address
from nait.store import Artifact
from nait.sweeps.stored_runs.method_names import CONTROL, FULL, SHUFFLED, TARGETLESS, method_name
from nait.sweeps.stored_runs.run_set import RunSet

ANY = "any"
"""The score column of a method that does not depend on the target."""
MERGING_ORDERS = ("BestRank", "EqualQuota", "MeanZScore", "RoundRobin")
"""Orders that merge several columns. Each ranks a single column as `Highest` does."""
WITHOUT_EFFECT = (
    "early_exit", "budget.allow_fewer", "eval.online", "eval.allow_partial", "eval.include", "eval.tasks",
    "train.deterministic", "train.gradient_checkpointing", "model.attn_implementation", "model.tensor_parallel",
    "model.trust_remote_code", "model.download",
)  # fmt: skip
"""Settings that do not affect results; older records contain them."""
SCORES = "the scores"
"""The part of an identity that a store without the run's `scores` artifact lacks."""
Facts = Mapping[str, str]


MERGING = "merge_adapter"
"""The key of an evaluation's suite that only decides how an adapter is run."""


class RecordedFacts:
    """The facts in the record and the artifacts of one run."""

    def __init__(self, runs: RunSet, record: Artifact) -> None:
        self.facts: Mapping[str, Any] = record.manifest
        self.name = method_name(record)
        self.settings = {
            str(key): str(value)
            for key, value in (record.manifest.get("settings") or {}).items()
            if key not in WITHOUT_EFFECT
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
        """The parts without a known content."""
        lacking = [] if self.model_content else ["the model's weights"]
        if not base:
            lacking += [] if self.pool_content else ["the pool's rows"]
            lacking += [] if self.scored else [SCORES]
            lacking += [] if "selector" in self.scores else ["the selector's settings"]
            trained = self.facts["links"].get("adapter") or self.facts["links"].get("evaluation")
            lacking += [] if self.training or not trained else ["the training recipe"]
        if self.facts["links"].get("evaluation") and "tasks" not in self.evaluated.get("suite", {}):
            lacking.append("the evaluation's tasks")
        return lacking

    @property
    def targetless(self) -> bool:
        """Whether the scores are the same for every target: they have the single column `any`.

        A target of the user may be called `any`, and a wrapped scorer may depend on a target: both count as
        dependent.
        """
        if self.name in TARGETLESS:
            return True
        columns = list(self.scored.get("targets") or ())
        wraps = _wraps(self.scores.get("selector"))
        return columns == [ANY] and self.facts["labels"]["target"] != ANY and not wraps

    @property
    def exhaustive(self) -> bool:
        """Whether every eligible row is selected, according to the scores or, without them, the method's name."""
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
        """Template and length limit and, for runs that train, the training recipe."""
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

    @property
    def adapted(self) -> bool:
        """Whether an adapter may have been evaluated: not with the base model or trained weights of its own."""
        recipe = self.training.get("recipe") or {
            "lora": None if self.settings.get("train.method") == "full" else {}
        }
        return bool(self.facts["labels"]["trained"]) and recipe.get("lora", recipe) is not None

    def evaluation(self) -> Facts:
        if not self.facts["links"].get("evaluation"):
            return {}
        suite = dict(self.evaluated.get("suite", {}))
        if not self.adapted:
            suite.pop(MERGING, None)
        tasks = suite.pop("tasks", None)
        found = {"eval.tasks": ", ".join(suite.pop("requested", ()))}
        if tasks is None:  # an older format
            found |= dict(self._settings("eval"))
        else:
            found |= _task_facts(tasks)
        means = suite.pop("means", None)
        found |= {"eval.means": address(means)} if means else {}
        if "evaluation" in self.evaluated:
            found["eval.version"] = as_typed(self.evaluated["evaluation"])
        return found | flat("eval", suite)

    def method(self) -> Facts:
        order = {} if self.exhaustive else self._order()
        found = self._random() if self.name == CONTROL else self._selector() | order
        budget = {} if self.exhaustive else flat("budget", _mapping(self.selection.get("budget")))
        found |= {key: value for key, value in budget.items() if key not in WITHOUT_EFFECT}
        if "selection" in self.selection:
            found["selection version"] = as_typed(self.selection["selection"])
        return found if self.targetless else found | self._references()

    def _random(self) -> dict[str, str]:
        """The facts of a random control. A shuffled order depends on which rows have a score, not on the values."""
        order = self._order()
        if order.get("order") == SHUFFLED or self.settings.get("order") == SHUFFLED:
            left_out = self.scored.get("ineligible")
            return {**order, **({"left out": as_typed(left_out)} if left_out else {})}
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
        found = flat("", {key: value for key, value in config.items() if key not in WITHOUT_EFFECT})
        for key, name in (("scores", "scores version"), ("version", "scorer version")):
            found |= {name: as_typed(self.scores[key])} if key in self.scores else {}
        if self.scores.get("content"):
            found["content"] = address(self.scores["content"])
        return found

    def _order(self) -> dict[str, str]:
        found = flat("order", _mapping(self.selection.get("order")))
        if not found:
            found = {k: v for k, v in self.settings.items() if k == "order" or k.startswith("order.")}
        columns: Sequence[str] = self.scored.get("targets") or ()
        if len(columns) == 1 and found.get("order") in MERGING_ORDERS:
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
        """The content of the reference sets, one digest per target."""
        contents = [str(one.get("examples", "")) for one in self._sets()]
        return "+".join(contents or [str(value) for value in (self.prints.get("targets") or {}).values()])

    def _settings(self, group: str) -> list[tuple[str, str]]:
        return [(key, value) for key, value in self.settings.items() if key.startswith(f"{group}.")]


def flat(group: str, node: Mapping[str, Any]) -> dict[str, str]:
    """A nested config as `group.key` -> displayed value; a class is shown by name under its group."""
    found: dict[str, str] = {}
    for key, value in node.items():
        name = f"{group}.{key}" if group else str(key)
        if key == "_target_":
            found[group or "scorer"] = str(value).rsplit(".", 1)[-1]
        elif isinstance(value, Mapping):
            found |= flat(name, value)
        else:
            found[name] = as_typed(value)
    return found


def as_typed(value: Any) -> str:
    """A config value as a user types it: `3`, `0.1`, `null`, `true`, `[1, 2]`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(as_typed(one) for one in value)}]"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {as_typed(one)}" for key, one in sorted(value.items()))
    return str(value)


def _task_facts(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The facts of a suite's tasks: number of few-shot examples, digest of definitions, digest of data."""
    shots = {name: task.get("num_fewshot") for name, task in tasks.items()}
    counts = set(map(as_typed, shots.values()))
    rest = {
        name: {key: value for key, value in task.items() if key not in ("num_fewshot", "data")}
        for name, task in tasks.items()
    }
    return {
        "eval.num_fewshot": counts.pop() if len(counts) == 1 else as_typed(shots),
        "eval.definitions": address(rest),
        "eval.data": address({name: task.get("data") for name, task in tasks.items()}),
    }


def _wraps(config: object) -> bool:
    """Whether the config of a class contains another class."""
    if isinstance(config, Mapping):
        return any(_is_class(value) or _wraps(value) for value in config.values())
    return isinstance(config, (list, tuple)) and any(_is_class(one) or _wraps(one) for one in config)


def _is_class(value: object) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_address(link: object) -> bool:
    return isinstance(link, str) and len(link) > 8 and set(link) <= set("0123456789abcdef")
