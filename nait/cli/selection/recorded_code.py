"""Configs in the records of runs. A record may come from elsewhere, and its config may name code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from nait.cli.help import conf_folder
from nait.core.errors import ConfigError
from nait.core.inputs.shapes import fault, flag, keyed, listed, optional, real, record, text, whole

TRUSTED = ("trust_remote_code", "trust_task_code", "allow_code_execution")
"""Keys that let a model, a task or an answer run code."""
ONE_JOB = "hydra.mode=RUN"
"""What the recorded command of a sweep's job ends with."""
GROUPS = (
    "data", "target", "model", "selector", "order", "budget", "template", "engine", "train", "eval", "cost", "report",
    "tracking",
)  # fmt: skip
_ANY = optional(text)
_OBJECT = keyed(lambda _: "")


def _links(value: Any) -> str:
    """What is wrong with a record's `links` (kind -> address or null, `selection` and `scores` among them), or ""."""
    return keyed(optional(text))(value) or record({"selection": _ANY, "scores": _ANY})(value)


SHAPE = record(
    {
        "config": record({
            **dict.fromkeys(GROUPS, _OBJECT), "options": keyed(optional(text)), "stages": listed(text),
            "paths": record({"store": text}),
            "store": record({"wait_seconds": optional(real), "limit_gb": optional(real)}),
            "seed": whole, "group": optional(text), "label": optional(text), "plan": flag, "beside": listed(text),
        }, command=text, contamination=optional(_OBJECT)),
        "links": _links, "warnings": listed(text),
    }
)  # fmt: skip


def check_record(found: Any, path: Path, *, trusted: bool) -> None:
    """Check the record of a run, `run.json`, before its config is built.

    Raises: ConfigError for a record of another form, and, unless it is trusted, for one whose config names a class
    that no option of this package names, or sets a key of `TRUSTED`.
    """
    if wrong := fault(found, SHAPE):
        raise ConfigError(
            f"it is not the record of a run ({wrong})", where=str(path), fix="Give the folder of a run."
        )
    config = found["config"]
    unused = {"command", *([] if "evaluate" in config["stages"] else ["eval"])}
    code = next(_code({key: value for key, value in config.items() if key not in unused}, "config"), "")
    if code and not trusted:
        raise ConfigError(
            f"building what it names may run code ({code})", where=str(path),
            fix="If you trust this record, add --trust.",
        )  # fmt: skip


def recorded_words(config: Mapping[str, Any], path: Path) -> list[str]:
    """The KEY=VALUE words of a recorded command, which begins with `nait` or `nait run`.

    Raises: ConfigError for one that no shell can read.
    """
    try:
        words = shlex.split(config["command"])[1:]
        return words[1:] if words[:1] == ["run"] else words
    except ValueError as error:
        raise ConfigError(
            f"its command cannot be read ({error})", where=str(path), fix="Give the folder of a run."
        ) from error


def check_command(words: Iterable[str], path: Path, *, trusted: bool) -> None:
    """Check the words of a recorded command before it runs again.

    Raises: ConfigError, unless the record is trusted, for a flag, a key of Hydra, an interpolation, a class, or a key
    of `TRUSTED`.
    """
    code = next((word for word in words if word != ONE_JOB and _leads_to_code(word)), "")
    if code and not trusted:
        raise ConfigError(
            f"running its command again may run code ({code})", where=str(path),
            fix="If you trust this record, add --trust.",
        )  # fmt: skip


def _leads_to_code(word: str) -> bool:
    key = word.lstrip("+~")
    return key.startswith(("-", "hydra")) or any(
        part in word for part in ("${", "_target_", "vllm", *TRUSTED)
    )


def _code(node: Any, at: str) -> Iterator[str]:
    """Each place of a config that leads to code, with its value."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if (
                "${" in key
                or (key == "_target_" and str(value) not in shipped())
                or (key in (*TRUSTED, "python") and value)  # eval.vllm.python is a program
            ):
                yield f"{at}.{key}: {value}"
            yield from _code(value, f"{at}.{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _code(value, f"{at}[{number}]")


@cache
def shipped() -> frozenset[str]:
    """The names of this package's parts that the options in `conf` name."""
    texts = (path.read_text(encoding="utf-8") for path in conf_folder().rglob("*.yaml"))
    return frozenset(name for one in texts for name in re.findall(r"\bnait(?:\.\w+)+", one))
