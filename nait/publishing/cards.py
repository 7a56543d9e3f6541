"""The card of a published run: README.md with the metadata that the Hub reads."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from nait.core.inputs.visible_text import plain_markdown, visible_line
from nait.store import Artifact, read_json

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
NAME = re.compile(r"\w+")
NUMBER = re.compile(r"-?\d[\d.e+-]*|true|false")
NUMBERS = re.compile(r"\[-?\d+(, ?-?\d+)*\]")
ADDED = ".end_token"
"""A setting that only some options of the selector have."""
NOT_SHOWN = ("path", "paths")
"""Last parts of settings that hold paths of this machine."""


def card(manifest: Mapping[str, Any], kept: Mapping[str, Artifact]) -> str:
    """The card. `manifest`: the run's; `kept`: name in the folder -> artifact."""
    parts = [
        _metadata(manifest, kept),
        _title(manifest),
        _content(kept),
        _use(manifest, kept),
        _settings(manifest),
    ]
    return "\n\n".join(filter(None, [*parts, _results(kept), _licence(manifest)])) + "\n"


def _metadata(manifest: Mapping[str, Any], kept: Mapping[str, Artifact]) -> str:
    lines = ["---", "tags: [instruction-tuning, data-selection, nait]"]
    if "adapter" in kept:
        lines.insert(1, "library_name: peft")
        if HUB_NAME.fullmatch(manifest["model"]):
            lines.insert(2, f"base_model: {manifest['model']}")
    return "\n".join([*lines, "---"])


def _title(manifest: Mapping[str, Any]) -> str:
    target = f" for {_plain(manifest['target'])}" if manifest["target"] else ""
    prints, budget = manifest["fingerprints"], _plain(manifest["budget"] or "all rows")
    pool, selector, model = (_code(manifest[name]) for name in ("pool", "selector", "model"))
    return (
        f"# {_plain(manifest['selector'])}: {budget} of {_plain(manifest['pool'])}{target}\n\n"
        f"Rows of the pool {pool} (fingerprint `{prints['pool']}`) that {selector} "
        f"selects with the model {model} (fingerprint `{prints['model']}`), seed {manifest['seed']}."
    )


def _content(kept: Mapping[str, Artifact]) -> str:
    lines = [
        "| file | content |", "|---|---|",
        "| `scores.parquet` | id, score for each target, rank, selected, answer tokens, reason of ineligible rows |",
        "| `selected_ids.txt` | ids of the selected rows, best first |",
    ]  # fmt: skip
    lines += [f"| `{name}` | the direction of a target |" for name in kept if name.startswith("directions/")]
    lines += ["| `adapter` | the fine-tuned weights |"] if "adapter" in kept else []
    lines += ["| `results.json` | the evaluation's results |"] if "results.json" in kept else []
    return "\n".join([*lines, "", "The texts of the rows are not included."])


def _use(manifest: Mapping[str, Any], kept: Mapping[str, Artifact]) -> str:
    """The commands that select by the scores and by the directions, with the run's order.

    By the scores, as many rows as the run selected: a share may be of a pool from which the run left rows out, and a
    budget of tokens depends on template and length limit. By the directions, the run's method with all its settings
    on its texts.
    """
    config = manifest["config"]
    order, scored = _chosen(config, "order"), kept.get("scores.parquet")
    rows = scored.manifest.get("rows") if scored else None
    size = [*order, *_chosen(config, "budget")]
    count = [*order, "budget=count", f"budget.count={rows}"] if isinstance(rows, int) else size
    inputs = ["data=file", "data.path=POOL", "model=local", "model.path=MODEL_FOLDER"]
    scores = ["selector=scores", "selector.path=scores.parquet", "target=none"]
    commands = ["# the same rows of the same pool", _command([*scores, *count, *inputs])]
    folders = [name for name in kept if name.startswith("directions/")]
    if folders:
        named = ", ".join(f"{name.partition('/')[2]}: {name}" for name in folders)
        method = [*_method(config), "target=directions", f"target.paths={{{named}}}"]
        words = [*method, *size, *inputs, *_texts(config)]
        commands += ["# the directions on another pool", _command(words)]
    return "\n".join(["```bash", *commands, "```"])


def _command(words: Iterable[str]) -> str:
    return shlex.join(["nait", "stages=[select]", *words])


def _chosen(config: Mapping[str, Any], group: str) -> list[str]:
    """The words that choose a group's option and its settings, as far as they are names and numbers."""
    option = config.get("options", {}).get(group)
    leaves = {name: json.dumps(value) for name, value in _leaves(config[group], group)}
    numbers = [f"{name}={value}" for name, value in leaves.items() if NUMBER.fullmatch(value)]
    return [f"{group}={option}", *numbers] if NAME.fullmatch(str(option)) else []


def _method(config: Mapping[str, Any]) -> list[str]:
    """The words that choose the selector and its settings: numbers, names and lists of numbers."""
    option = config.get("options", {}).get("selector")
    words = []
    for name, value in _leaves(config["selector"], "selector"):
        text = value if isinstance(value, str) else json.dumps(value)
        known = any(form.fullmatch(text) for form in (NUMBER, NUMBERS, NAME)) and value is not None
        if known and name.rsplit(".", 1)[-1] not in (*NOT_SHOWN, "name"):
            added = "++" if name.endswith(ADDED) else ""
            words.append(f"{added}{name}={text}")
    return [f"selector={option}", *words] if NAME.fullmatch(str(option)) else []


def _texts(config: Mapping[str, Any]) -> list[str]:
    """The words that choose how the run's texts are written and cut."""
    option = config.get("options", {}).get("template")
    limit = config["model"].get("max_length") if isinstance(config.get("model"), Mapping) else None
    template = [f"template={option}"] if NAME.fullmatch(str(option)) and option is not None else []
    return [*template, *([f"model.max_length={limit}"] if isinstance(limit, int) else [])]


def _settings(manifest: Mapping[str, Any]) -> str:
    """Settings of method, order and budget, without paths, and the versions."""
    config = manifest["config"]
    found = {
        name: value
        for group in ("selector", "order", "budget")
        for name, value in _leaves(config[group], group)
        if name.rsplit(".", 1)[-1] not in NOT_SHOWN
    }
    lines = [f"- {_code(name)}: {_code(value)}" for name, value in found.items()]
    versions = ", ".join(f"{name} {value}" for name, value in manifest.get("versions", {}).items())
    return "\n".join(["## Settings", "", *lines, "", f"Versions: {versions}."])


def _leaves(node: Any, at: str) -> Iterable[tuple[str, Any]]:
    if not isinstance(node, Mapping):
        return [(at, node)]
    return [leaf for key, value in node.items() for leaf in _leaves(value, f"{at}.{key}")]


def _results(kept: Mapping[str, Artifact]) -> str:
    if "results.json" not in kept:
        return ""
    results = read_json(kept["results.json"].path / "results.json")["results"]
    lines = [
        f"| {_plain(one['task'])} | {_plain(one['metric'])} | {one['value']:.4f} | {_error(one['stderr'])} "
        f"| {one['n']} |"
        for one in results
        if one.get("primary", True)
    ]
    header = ["## Results", "", "| task | metric | value | standard error | items |", "|---|---|---|---|---|"]
    return "\n".join([*header, *lines])


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _licence(manifest: Mapping[str, Any]) -> str:
    return (
        "## Licence\n\nNot stated. Scores and ids derive from the pool, weights also from the base model: add the "
        f"licence that {_code(manifest['pool'])} and {_code(manifest['model'])} allow."
    )


def _plain(value: Any) -> str:
    return plain_markdown(str(value))


def _code(value: Any) -> str:
    """A name as inline code; a backtick, which would end it, becomes an apostrophe."""
    return f"`{visible_line(str(value)).replace('`', chr(39))}`"
