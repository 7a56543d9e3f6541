"""Advice for a value that is not an option of its group: a file, a Hub id, a benchmark, a quantity."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from nait.core.errors import did_you_mean

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_FILE = re.compile(
    r".*\.(?:jsonl?|ndjson|parquet|csv|tsv|arrow|feather|ya?ml|txt|gz|zst|bz2|xz)", re.IGNORECASE
)
_CHATS = re.compile(r"chat|llama|qwen|mistral|gemma|phi|deepseek|zephyr|vicuna|instruct|tokenizer|model")
_BUDGET = re.compile(
    r"(?:top)?[ _-]?(\d+(?:\.\d+)?)\s*([kKmM%]?)[ _-]?(?:rows|row|examples|samples)?", re.IGNORECASE
)
_UNUSUAL = re.compile(r"[^\w .-]+", re.ASCII)
"""Characters that a name in braces does not have as they are."""
_SHOTS = re.compile(r"(\w+?)_?(\d{1,2})_?(?:shots?)?")
_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000}
_OFF = ("none", "off", "false", "no", "disabled")
_KINDS = ("json", "jsonl", "csv", "tsv", "parquet", "folder", "local", "custom", "own")
_NAMES = {
    ("selector", "ppl"): "selector=perplexity",
    ("selector", "none"): "selector=base, the model without fine-tuning, or selector=full, all rows",
    ("selector", "all"): "selector=full",
    ("selector", "superfilter"): "selector=ifd_superfiltering",
    ("selector", "longest"): "selector=length",
    ("selector", "loss"): "selector=perplexity",
    ("selector", "embedding"): "selector=rds",
    ("selector", "embeddings"): "selector=rds",
    ("selector", "similarity"): "selector=rds",
    ("selector", "gradient"): "selector=less",
    ("selector", "gradients"): "selector=less",
    ("selector", "quality"): "selector=selectit",
    ("data", "hf"): "data=hub data.path=OWNER/NAME",
    ("data", "huggingface"): "data=hub data.path=OWNER/NAME",
    **{("data", name): "data=file data.path=POOL_FILE" for name in _KINDS},
    **{("target", name): "target=file target.path=REFERENCE_FILE" for name in _KINDS},
    **{
        ("model", name): "model=hf model.path=OWNER/NAME"
        for name in ("hub", "huggingface", "auto", "transformers")
    },
    ("sweep", "none"): "the other words alone: without sweep= one job runs",
    ("order", "score"): "order=highest",
    ("train", "sft"): "train=lora or train=full",
    ("budget", "full"): "selector=full, which takes all rows",
    ("budget", "all"): "selector=full, which takes all rows",
    ("order", "top"): "order=highest",
    ("order", "descending_score"): "order=highest",
    ("order", "ascending_score"): "order=lowest",
    ("order", "best"): "order=highest; of several targets, order=best_rank takes the best of their ranks",
    ("order", "worst"): "order=lowest",
    ("order", "bottom"): "order=lowest",
    ("order", "ranked"): "order=highest",
    ("order", "sorted"): "order=highest",
    ("order", "reverse"): "order=lowest",
    **{
        ("budget", word): f"budget={share}"
        for word, share in {
            "half": "50%",
            "third": "33.3%",
            "quarter": "25%",
            "fifth": "20%",
            "tenth": "10%",
        }.items()
    },
    ("template", "none"): "template=plain, the instruction and the input alone",
    ("template", "default"): "template=alpaca, or template=chat, the model's own",
    ("order", "random"): "order=shuffled",
    ("order", "desc"): "order=highest",
    ("order", "descending"): "order=highest",
    ("order", "asc"): "order=lowest",
    ("order", "ascending"): "order=lowest",
    ("cost", "none"): "cost=unknown",
    ("report", "none"): "'stages=[select,train,evaluate]' for a run without a report",
    ("report", "html"): "report=leaderboard: a sweep also writes report/report.html",
    ("eval", "none"): "'stages=[select,train]' for a run without evaluation",
    ("experiment", "demo"): "experiment=quickstart",
    ("truth", "labels"): "truth=columns truth.family=COLUMN",
}
"""Other words of the field for an option -> what to type."""


def suggestion(group: str, value: str, known: Sequence[str]) -> str:
    """A sentence with what to type instead of `group=value`; its options when nothing is recognised."""
    plain = re.sub(r"[^a-z0-9]+", "_", value.casefold()).strip("_")
    plain = "none" if plain in _OFF else plain
    if group == "budget":
        plain = re.sub(r"^(?:an?|the|one|top)_|_(?:of_.*)$", "", plain)
    if plain in known:
        return f"Did you mean '{plain}'?"
    option, _, rest = value.partition("=")
    if rest and re.search(r"[ ;]", option):
        return "Several words are in one: put a space between them, and quote each word alone."
    if rest and option in known:
        return f"Type {group}={option} {shlex.quote(f'{group}.{option}={rest}')}."
    typed = _typed(group, value, plain, known)
    if typed:
        return f"Type {typed}{'' if typed.endswith('?') else '.'}"
    family = [name for name in known if plain and name.startswith(f"{plain}_")]
    if family:
        return f"Did you mean {_either(family)}?"
    near = did_you_mean(plain or value, known)
    if near.startswith("Did"):
        return near
    more = _ADVICE.get(group, "")
    return " ".join(filter(None, [near, more]))


_ADVICE = {
    "data": "A pool of your own: data=file data.path=POOL_FILE.",
    "target": "Your own references: target=file target.path=REFERENCE_FILE. The embedded world's: target=nano "
    "'target.capabilities=[math]'.",
    "model": "A folder: model=local model.path=MODEL_FOLDER. A model of the Hub: model=hf model.path=OWNER/NAME.",
    "template": "The model's own: template=chat.",
    "paths": "Folders: paths.store=FOLDER paths.runs=FOLDER.",
    "sweep": "For any key, add -m and several values, such as train.learning_rate=1e-4,2e-4.",
    "tracking": "tracking=files writes files only; tracking=wandb tracking.mode=online uploads.",
}
"""Group -> what to type for a value that resembles none of its options."""


def _typed(group: str, value: str, plain: str, known: Sequence[str]) -> str:
    """The overrides to type for a value of a recognised kind; "" for any other value."""
    quoted = shlex.quote
    if (group, plain) in _NAMES:
        return _NAMES[group, plain]
    if group == "model":
        return _model(value)
    if group in ("data", "target") and _is_path(value):
        if _is_hub_id(value):
            return f"{group}=hub {group}.path={value} for a data set of the Hub"
        return f"{group}=file {quoted(f'{group}.path={value}')}"
    if group == "template" and _is_path(value):
        return f"template=file {quoted(f'template.path={value}')}"
    if group == "template" and _CHATS.search(plain):
        return "template=chat, the model's own chat template"
    if group == "eval" and re.fullmatch(r"\w[\w-]*", value) and plain != "all":
        return _benchmark(value, plain, known)
    if group == "tracking" and plain in ("online", "offline", "wandb_online"):
        return f"tracking=wandb tracking.mode={plain.removeprefix('wandb_')}"
    if group == "tracking" and plain in ("none", "local", "file"):
        return "tracking=files"
    return _budget(value) if group == "budget" else ""


def _benchmark(value: str, plain: str, known: Sequence[str]) -> str:
    """Overrides for a benchmark: an option with a number of shots (`gsm8k_5shot`), else a task of the harness."""
    found = _SHOTS.fullmatch(plain)
    name = found[1] if found else ""
    if found and (name in known or "shot" in plain):
        task = f"eval={name}" if name in known else f"eval=lm_eval {shlex.quote(f'eval.tasks=[{name}]')}"
        return f"{task} eval.num_fewshot={found[2]}"
    near = did_you_mean(plain, known)
    similar = f" for a task of lm-evaluation-harness. {near}" if _is_benchmark(near) else ""
    return f"eval=lm_eval {shlex.quote(f'eval.tasks=[{value}]')}{similar}"


def _is_benchmark(near: str) -> bool:
    """Whether a suggestion names an option other than the harness's own."""
    return near.startswith("Did") and near != "Did you mean 'lm_eval'?"


def _model(value: str) -> str:
    if Path(value).expanduser().exists() or (_is_path(value) and not _is_hub_id(value)):
        return f"model=local {shlex.quote(f'model.path={value}')}"
    return f"model=hf model.path={value} for a model of the Hub" if _is_hub_id(value) else ""


def _budget(value: str) -> str:
    """Overrides for a quantity: a count of rows, or a share where 1 may be meant as all rows."""
    found = _BUDGET.fullmatch(value)
    if found is None:
        return ""
    number, unit = float(found[1]), found[2].casefold()
    if unit in ("k", "m"):
        return f"budget=count budget.count={number * _FACTORS[unit]:.0f}"
    if unit == "%":
        return f"budget=ratio budget.ratio={number / 100:.12g}"
    if number > 1 and number == int(number) and value != found[1]:
        return f"budget=count budget.count={number:.0f}"
    if number == 1:
        return "budget=ratio budget.ratio=1.0 for all rows, or budget=count budget.count=1 for one"
    return ""


def several(group: str, values: Sequence[str], given: object) -> str:
    """What to type instead of a `given` list or dict with these values or keys: a group takes one option."""
    if isinstance(given, dict):
        typed = ", ".join(f"{_in_braces(str(name))}: {value}" for name, value in given.items())
        if group == "target":
            return f"Type target=files {shlex.quote(f'target.paths={{{typed}}}')}."
        return (
            f"Give the option, then its keys: {group}=OPTION {group}.{values[0] if values else 'KEY'}=VALUE."
        )
    listed = ",".join(values)
    if group == "tracking":
        return "Type tracking=wandb tracking.tensorboard=true for both; each option writes files as well."
    if group == "eval":
        return f"Type eval=lm_eval {shlex.quote(f'eval.tasks=[{listed}]')}."
    if group == "target" and all(map(_is_path, values)):
        named = ", ".join(f"{re.sub(_UNUSUAL, '_', Path(value).stem)}: {value}" for value in values)
        return f"Type target=files {shlex.quote(f'target.paths={{{named}}}')}."
    if group == "data" and all(map(_is_path, values)):
        return f"Type data=file {shlex.quote(f'data.path=[{listed}]')}."
    return f"To run each, type -m {group}={listed}."


def _in_braces(name: str) -> str:
    """A name as it is typed in braces."""
    return f'"{name}"' if _UNUSUAL.search(name) else name


def _is_path(value: str) -> bool:
    return (
        "/" in value
        or "\\" in value
        or value[:1] in ".~"
        or bool(_FILE.fullmatch(value))
        or Path(value).exists()
    )


def _is_hub_id(value: str) -> bool:
    """Whether a value looks like OWNER/NAME and is neither a file nor named like one."""
    return bool(_HUB_ID.fullmatch(value)) and not _FILE.fullmatch(value) and not Path(value).exists()


def _either(names: Sequence[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)
