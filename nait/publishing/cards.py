"""The card of a published run: README.md with the metadata that the Hub reads."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from nait.core.inputs.visible_text import plain_markdown, visible_line
from nait.publishing.command_words import LOCAL_PATH, UNKNOWN, Presets, Words, is_local, leaves, words_of
from nait.store import Artifact, read_json

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def card(manifest: Mapping[str, Any], kept: Mapping[str, Artifact], presets: Presets) -> str:
    """The card. `manifest`: the run's; `kept`: name in the folder -> artifact; `presets`: settings of options."""
    parts = [
        _metadata(manifest, kept),
        _title(manifest),
        _content(kept),
        _use(manifest, kept, presets),
        _settings(manifest),
        _training(manifest, kept),
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


def _use(manifest: Mapping[str, Any], kept: Mapping[str, Artifact], presets: Presets) -> str:
    """The commands that select by the scores and by the directions, with the run's order.

    By the scores, as many rows as the run selected: a share may be of a pool from which the run left rows out, and a
    budget of tokens depends on template and length limit. By the directions, the run's method with all its settings
    on its texts. Below them, the settings that no command can repeat.
    """
    config = manifest["config"]
    order, scored = words_of(config, "order"), kept.get("scores.parquet")
    rows = scored.manifest.get("rows") if scored else None
    size = order + words_of(config, "budget")
    count = order + Words(("budget=count", f"budget.count={rows}")) if isinstance(rows, int) else size
    inputs = Words(("data=file", "data.path=POOL", "model=local", "model.path=MODEL_FOLDER"))
    scores = Words(("selector=scores", "selector.path=scores.parquet", "target=none"))
    commands = {"# the same rows of the same pool": scores + count + inputs}
    folders = [name for name in kept if name.startswith("directions/")]
    if folders:
        named = ", ".join(f"{name.partition('/')[2]}: {name}" for name in folders)
        directions = Words(("target=directions", f"target.paths={{{named}}}"))
        words = words_of(config, "selector") + directions + size + inputs + _texts(config, presets)
        commands["# the directions on another pool"] = words
    lines = [line for comment, words in commands.items() for line in (comment, _command(words))]
    lacking = {name: value for words in commands.values() for name, value in words.lacking.items()}
    return "\n".join(["```bash", *lines, "```", *_to_add(lacking)])


def _command(words: Words) -> str:
    return shlex.join(["nait", "stages=[select]", *words.words])


def _texts(config: Mapping[str, Any], presets: Presets) -> Words:
    """The words that choose how the run's texts are written and cut."""
    option = config.get("options", {}).get("template")
    limit = config["model"].get("max_length") if isinstance(config.get("model"), Mapping) else None
    template = words_of(config, "template", presets("template", str(option)))
    return template + Words((f"model.max_length={limit}",) if isinstance(limit, int) else ())


def _to_add(lacking: Mapping[str, str]) -> list[str]:
    """The settings that the user must add to a command."""
    if not lacking:
        return []
    return [
        "",
        "The commands do not repeat these settings of the run. Add them, or other rows are selected:",
        "",
        *(
            f"- {_code(name)}: {value if value in (LOCAL_PATH, UNKNOWN) else _code(value)}"
            for name, value in lacking.items()
        ),
    ]


def _settings(manifest: Mapping[str, Any]) -> str:
    """Settings of method, order and budget, without paths, and the versions."""
    config = manifest["config"]
    found = {
        name: value
        for group in ("selector", "order", "budget")
        for name, value in leaves(config[group], group)
        if not is_local(name, value)
    }
    lines = [f"- {_code(name)}: {_code(value)}" for name, value in found.items()]
    versions = ", ".join(f"{name} {value}" for name, value in manifest.get("versions", {}).items())
    return "\n".join(["## Settings", "", *lines, "", f"Versions: {versions}."])


def _training(manifest: Mapping[str, Any], kept: Mapping[str, Artifact]) -> str:
    """The recipe and the data of the adapter, as its key in the store has them; "" without one."""
    if "adapter" not in kept:
        return ""
    about = kept["adapter"].manifest
    key = about["key"] if isinstance(about.get("key"), Mapping) else {}
    stated = key.get("recipe")
    recipe = stated if isinstance(stated, Mapping) else {}
    options = manifest["config"].get("options")
    found = {
        "model": manifest["model"],
        "template": options.get("template") if isinstance(options, Mapping) else None,
        **{name: key.get(name) for name in ("max_length", "seed")},
        **{name: about.get(name) for name in ("rows", "tokens", "truncated")},
        **{name.lstrip("."): value for name, value in leaves({**recipe, "kind": None, "version": None}, "")},
    }
    lines = [
        f"- {_code(name)}: {_code(value)}"
        for name, value in found.items()
        if value is not None and not is_local(name, value)
    ]
    return "\n".join(["## Training", "", *lines])


def _results(kept: Mapping[str, Artifact]) -> str:
    if "results.json" not in kept:
        return ""
    results = read_json(kept["results.json"].path / "results.json")["results"]
    lines = [
        f"| {_plain(one['task'])} | {_plain(one['metric'])} | {one['value']:z.4f} | {_error(one['stderr'])} "
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
