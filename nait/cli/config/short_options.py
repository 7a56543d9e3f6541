"""Overrides for the short options of `nait select` and `nait compare`, and for `nait.select` in Python."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from nait.cli.command.advice.intended_options import suggestion
from nait.cli.command.quoting import literal, quoted
from nait.cli.config.models_at_hand import without_model
from nait.cli.help import conf_folder, groups
from nait.core.errors import ConfigError, did_you_mean

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
OPEN = re.compile(r"^\w+: \?\?\?", re.MULTILINE)
"""A key of a YAML file whose value has to be given."""
SIZES = {"k": 10**3, "m": 10**6, "b": 10**9}
MANIFEST, ARRAYS = "manifest.json", "arrays.safetensors"
"""Files of exported directions."""


@dataclass(frozen=True)
class AskedSize:
    """How much to select, as typed: a share (`top`), a number of rows, or a number of answer tokens. One of them."""

    top: str | None = None
    rows: str | None = None
    tokens: str | None = None

    def words(self) -> list[str]:
        """The budget's overrides; a tenth of the pool if no size is given. Raises: ConfigError."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) > 1:
            names = " and ".join(f"--{name}" for name in given)
            raise ConfigError("only one size can be given", where=names, fix="Keep one of them.")
        if self.rows is not None:
            return ["budget=count", f"budget.count={_whole(self.rows, '--rows')}"]
        if self.tokens is not None:
            return ["budget=tokens", f"budget.tokens={_whole(self.tokens, '--tokens')}"]
        return ["budget=ratio", f"budget.ratio={_share(self.top or '10%')}"]


def _share(text: str) -> str:
    """A share in (0, 1], from "10%" or "0.1"."""
    number = text.strip().removesuffix("%").strip()
    try:
        value = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        fix = "Give a share such as 10% or 0.1; for a number of rows, --rows N."
        raise ConfigError(f"'{text}' is not a share of the pool", where="--top", fix=fix)
    return f"{value:.12g}"


def _whole(text: str, where: str) -> int:
    """A whole number above 0, from "500", "2M", "1e6" or "10,000"."""
    plain = text.strip().lower().replace(",", "").replace("_", "")
    factor = SIZES.get(plain[-1:], 1)
    try:
        value = round(
            float(plain[:-1] if factor > 1 else plain) * factor, 6
        )  # 1.001 * 1000 is 1000.9999999999999
    except ValueError:
        value = 0.0
    if not 1 <= value < math.inf or value != int(value):
        raise ConfigError(
            f"'{text}' is not a number of {where.strip('-')}", where=where, fix="Give 500, 20k or 2M."
        )
    return int(value)


def presets(group: str) -> list[str]:
    """The options of a group that are complete as they are: no value of theirs has to be given."""
    texts = {
        name: (conf_folder() / group / f"{name}.yaml").read_text(encoding="utf-8") for name in groups()[group]
    }
    return [name for name, text in texts.items() if name != "none" and not OPEN.search(text)]


def pool_words(pool: str) -> list[str]:
    """`data=` and its path, for a file, a folder, a pattern, a preset's name or a Hub id."""
    if pool in presets("data") and not Path(pool).exists():
        return [f"data={pool}"]
    if HUB_ID.fullmatch(pool) and not Path(pool).exists() and not Path(pool).parent.is_dir():
        return ["data=hub", f"data.path={pool}"]
    return ["data=file", f"data.path={literal(pool)}"]


def target_words(like: str | None, method: str) -> list[str]:
    """`target=` and its path, for a file, a preset's name or a folder of exported directions.

    Raises: ConfigError without one for the default method, which needs references.
    """
    if like is None:
        if method.startswith(("nait", "rds", "less")):
            fix = "Give a file with examples of what the model should become better at; 32 rows or more are typical."
            raise ConfigError(f"{method} needs a reference set", where="--like REF", fix=fix)
        return ["target=none"]
    if like in presets("target") and not Path(like).exists():
        return [f"target={like}"]
    folder = Path(like).expanduser()
    if (folder / MANIFEST).is_file() and (folder / ARRAYS).is_file():
        name = re.sub(r"\W+", "_", folder.resolve().name, flags=re.ASCII) or "directions"
        return ["target=directions", f"target.paths={{{name}: {quoted(literal(like))}}}"]
    return ["target=file", f"target.path={literal(like)}"]


def model_words(model: str | None) -> list[str]:
    """`model=` and its path, for a folder, a preset's name or a Hub id.

    Raises: ConfigError without one, with the models at hand.
    """
    if model is None:
        raise without_model(presets("model"))
    if model in presets("model") and not Path(model).is_dir():
        return [f"model={model}"]
    if Path(model).expanduser().exists() or not HUB_ID.fullmatch(model):
        return ["model=local", f"model.path={literal(model)}"]
    return ["model=hf", f"model.path={model}"]


def method_word(method: str, where: str = "--method") -> str:
    """`selector=METHOD`. Raises: ConfigError for an unknown method."""
    known = groups()["selector"]
    if method not in known:
        several = [name for name in method.split() if name in known]
        fix = suggestion("selector", method, known).replace("selector=", f"{where} ")
        if len(several) > 1:
            fix = f"Type --methods {','.join(several)} of nait compare, with commas and no spaces."
        raise ConfigError(f"there is no method '{method}'", where=where, fix=fix)
    return f"selector={method}"


def check_more(more: Sequence[str]) -> None:
    """Raises: ConfigError for a further word that is not `key=value`, such as a second file."""
    plain = list(takewhile(lambda word: "=" not in word, more))  # after a value, a word is a part of it
    if plain and plain[0][:1] != "~":
        fix = (
            "References are --like REF, a model is --model M. Several files of a pool are a folder, a pattern in "
            "quotes, or 'data.path=[a.jsonl,b.jsonl]'."
        )
        raise ConfigError("only the pool is named without an option", where=plain[0], fix=fix)


def select_words(
    *, pool: str, like: str | None, model: str | None, size: AskedSize, method: str, more: Sequence[str] = ()
) -> list[str]:
    """The words of `nait run` for one selection. `more`: further `key=value` words, which have the last say.

    Raises: ConfigError for a value that cannot be used.
    """
    check_more(more)
    words = [
        "stages=[select]", method_word(method), *model_words(model), *pool_words(pool), *target_words(like, method),
        *size.words(),
    ]  # fmt: skip
    given = {word.partition("=")[0].lstrip("+~") for word in more}
    kept = [word for word in words if word.partition("=")[0] not in given]
    return [*kept, *([] if "tracking" in given else ["tracking=files"]), *more]


def evaluation_words(evaluation: str | None, test: str | None) -> list[str]:
    """The words of a benchmark; without one, of rows that are held out. The pool's copies of them are excluded.

    Raises: ConfigError for an unknown benchmark, or for both a benchmark and a file of test rows.
    """
    if evaluation is None:
        given = [] if test is None else [f"eval.test={quoted(test)}"]
        return ["eval=heldout", *given, "contamination=exclude"]
    if test is not None:
        fix = "Keep one of them."
        raise ConfigError(
            "a benchmark and a test file exclude each other", where="--eval and --test", fix=fix
        )
    known = groups()["eval"]
    if evaluation not in known:
        fix = did_you_mean(evaluation, known)
        raise ConfigError(f"there is no benchmark '{evaluation}'", where="--eval", fix=fix)
    return [f"eval={evaluation}"]


def compare_words(
    *, pool: str, like: str | None, model: str | None, size: AskedSize, methods: Sequence[str], seeds: int,
    more: Sequence[str] = (),
) -> list[str]:  # fmt: skip
    """The words of `nait run -m` for a comparison. Random, the control, is always among the methods.

    Raises: ConfigError for a value that cannot be used.
    """
    named = list(dict.fromkeys(name.strip() for name in methods if name.strip()))
    for name in named:
        method_word(name, where="--methods")
    if like is None:
        fix = "Give a file with examples of what the model should become better at."
        raise ConfigError("a comparison needs a reference set", where="--like REF", fix=fix)
    named += [] if "random" in named else ["random"]
    words = [
        f"selector={','.join(named)}", f"seed={','.join(map(str, range(seeds)))}", *model_words(model),
        *pool_words(pool), *target_words(like, named[0]), *size.words(), "tracking=files",
    ]  # fmt: skip
    given = {word.partition("=")[0].lstrip("+~") for word in more}
    return [*(word for word in words if word.partition("=")[0] not in given), *more]
