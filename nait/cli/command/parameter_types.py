"""Config values, converted to the annotated types of the parameters that receive them."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nait.cli.command.advice.replaced_keys import replaced
from nait.core.errors import ConfigError, did_you_mean, either

LISTS = (list, tuple, Sequence)
DICTS = (dict, Mapping)
RANGE = re.compile(r"(\d+)\s*(?:-|\.\.+|:|to)\s*(\d+)")
"""A range of whole numbers, such as 1-3 or 1..3."""
MOST_VALUES = 20
"""The most values of a range that a message lists."""
NAMED = ("selector", "name")
"""The only key that is not a parameter: a selector's name in tables."""
NOT_OF_ONE = {
    "target.capabilities": "Use a target with several sets: target=paper target.capabilities=[NAME], or target=files."
}
"""Key -> what to do instead, where the chosen option has a single set: experiments set the key for any option."""
DRAWN = ("seed", "pool_seed", "subset")
"""Last parts of keys whose number decides draws, by its digits: 1.0 would draw other rows than 1."""
PARTS = {
    "template": "+template", "reference_template": "+template", "warmup": "train", "like": "+selector",
}  # fmt: skip
"""Key of a nested part -> the config group that its options come from; + if its default has no option."""


def fit(node: Any, where: str) -> Any:
    """A resolved config whose values have the types of their constructors' parameters.

    A single value becomes a list of one for a list parameter; a number becomes text for a text parameter.
    Raises: ConfigError for an unknown key or a value of the wrong type, with the full key.
    """
    if isinstance(node, list):
        return [fit(one, where) for one in node]
    if not isinstance(node, dict):
        return node
    wanted = _annotations(node["_target_"]) if "_target_" in node else {}
    if where.startswith("selector.") and wanted and "name" not in wanted:
        node = {key: value for key, value in node.items() if key != "name"}  # of a selector inside a selector
    for key in node if wanted else ():
        if key not in wanted and not str(key).startswith("_") and (where, key) != NAMED:
            place = f"{where}.{key}" if where else str(key)
            fix = NOT_OF_ONE.get(place) or did_you_mean(str(key), wanted)
            raise replaced(place) or ConfigError("there is no such key", where=place, fix=fix)
    fitted = {}
    for key, value in node.items():
        place = f"{where}.{key}" if where else str(key)
        if place in PARTS and isinstance(value, str):
            raise _no_part(value, place)
        inner = fit(value, place)
        built = isinstance(value, dict) and "_target_" in value
        fitted[key] = inner if built or key not in wanted else fit_value(inner, wanted[key], place)
    return fitted


def fit_value(value: Any, wanted: Any, where: str) -> Any:
    """The value, converted to a type. Raises: ConfigError if it cannot be converted."""
    options = _members(wanted)
    if any(_is_a(value, one) for one in options):
        return _of_list(value, options, where)
    if _is_number(value, options):
        drawn = where.split(".")[-1] in DRAWN and int in options
        return int(value) if drawn else value  # others unconverted: addresses depend on them
    if str in options and isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    lists = [one for one in options if _origin(one) in LISTS]
    if lists and isinstance(value, str | int | float):
        return _of_list([value], options, where)
    words = [word for one in options if (word := _word(one))]
    if not words and not isinstance(value, dict) and all(map(_is_part, options)):
        raise _no_part(value, where)
    if not words:
        return value  # a class, or no useful annotation: the constructor checks it
    fix = _fix(options, where, value)
    raise ConfigError(f"'{_shown(value)}' is not {either(list(dict.fromkeys(words)))}", where=where, fix=fix)


def _of_list(value: Any, options: Sequence[Any], where: str) -> Any:
    """The value; elements of a list are converted too."""
    if not isinstance(value, list):
        return value
    (one, *_) = [option for option in options if _origin(option) in LISTS] or [None]
    (element, *_) = typing.get_args(one) or [Any]
    return [fit_value(part, element, where) for part in value]


def takes_a_dict(target: str, name: str) -> bool:
    """Whether the parameter `name` of the class or function at this dotted path takes a dict."""
    return any(_origin(one) in DICTS for one in _members(_annotations(target).get(name, Any)))


def _is_a(value: Any, wanted: Any) -> bool:
    if wanted is Any or wanted is object:
        return True
    if wanted is None or wanted is types.NoneType:
        return value is None
    origin = _origin(wanted)
    if origin is typing.Literal:
        return isinstance(value, str)  # the constructor checks the choice and suggests the nearest
    if origin in LISTS:
        return isinstance(value, list)
    if origin in DICTS:
        return isinstance(value, dict)
    if wanted in (int, float):
        return isinstance(value, wanted) and not isinstance(value, bool)
    if wanted is Path:
        return isinstance(value, str)
    return wanted in (str, bool) and isinstance(value, wanted)


COUNTS = ("limit", "rows")
"""Last parts of keys that are a number of rows or items, where null is all."""


def _is_part(wanted: Any) -> bool:
    """Whether values of this type are built from keys: a class of this package, or None in a union with one."""
    if wanted is types.NoneType:
        return True
    return inspect.isclass(wanted) and wanted.__module__.startswith("nait.")


def _no_part(value: Any, where: str) -> ConfigError:
    """The error for a single value where a part with keys of its own belongs."""
    last = where.rsplit(".", 1)[-1]
    options = f"'{PARTS[last]}@{where}=OPTION' takes an option of a group. " if last in PARTS else ""
    return ConfigError(
        f"'{_shown(value)}' is a value, and this has keys of its own", where=where,
        fix=f"{options}nait --cfg job shows its keys.",
    )  # fmt: skip


def _is_number(value: Any, options: Sequence[Any]) -> bool:
    """Whether the value is an int for a float, or a float such as 1e6 for an int."""
    if isinstance(value, bool):
        return False
    whole = isinstance(value, float) and value.is_integer() and int in options
    return whole or (isinstance(value, int) and float in options)


def _word(wanted: Any) -> str:
    origin = _origin(wanted)
    if origin in LISTS:
        return "a list"
    if origin in DICTS:
        return "a dict"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}.get(
        wanted, ""
    )


def _fix(options: Sequence[Any], where: str, value: Any) -> str:
    if many := _several(value, options):
        return f"To run each value, type -m {where}={many}."
    if (number := _spelled(value)) and {int, float} & set(options):
        return f"Type {where}={number}."
    if value == "":
        return f"Type {where}=VALUE, or remove {where}=."
    if where == "budget.count" and isinstance(value, float) and 0 < value < 1:
        return f"For a share of the pool, type budget=ratio budget.ratio={value}."
    if where.split(".")[-1] in COUNTS and int in options:
        number = "a number of rows, not a share" if isinstance(value, float) else "a number"
        return f"Type {where}=null for all, or {number}."
    files = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    if where.endswith(".paths") and files and all(isinstance(one, str) for one in files):
        named = ", ".join(f"{Path(one).name.split('.')[0]}: {one}" for one in files)
        return f"Name each file: {shlex.quote(f'{where}={{{named}}}')}."
    if where.endswith(".columns"):
        return f"Name the field and its column: '{where}={{prompt: COLUMN, completion: COLUMN}}'."
    if bool in options:
        return f"Set {where}=true or {where}=false."
    if any(_origin(one) in DICTS for one in options) and int in options:
        return f"Write '{where}=5', or by name '{where}={{name: 5}}'."
    if any(_origin(one) in DICTS for one in options):
        return f"Write '{where}={{name: value}}'."
    if any(_origin(one) in LISTS for one in options):
        return f"Write '{where}=[a,b]'."
    return "nait --cfg job shows every key with its value." if int in options or float in options else ""


def _spelled(value: Any) -> str:
    """The number that `10k`, `1M` or `1/10` spells; "" for any other value."""
    if not isinstance(value, str):
        return ""
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKmM])", value):
        return f"{float(found[1]) * (1_000 if found[2] in 'kK' else 1_000_000):.0f}"
    found = re.fullmatch(r"(\d+)\s*/\s*([1-9]\d*)", value)
    return f"{int(found[1]) / int(found[2])}" if found else ""


def _several(value: Any, options: Sequence[Any]) -> str:
    """The values of a list or, for a whole number, of a range such as 1-3; "" for a value that is neither."""
    if isinstance(value, list) and value and not {list, dict} & {type(one) for one in value}:
        return ",".join(map(_shown, value)) if {int, float, str} & set(options) else ""
    span = RANGE.fullmatch(value) if isinstance(value, str) and int in options else None
    first, last = map(int, span.groups()) if span else (0, -1)
    return ",".join(map(str, range(first, last + 1))) if last - first < MOST_VALUES else ""


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _origin(wanted: Any) -> Any:
    return typing.get_origin(wanted) or wanted


def _members(wanted: Any) -> list[Any]:
    union = _origin(wanted) in (typing.Union, types.UnionType)
    return [one for part in typing.get_args(wanted) for one in _members(part)] if union else [wanted]


def _annotations(path: str) -> dict[str, Any]:
    """Parameter -> annotated type of a `_target_`; Any without an annotation, or if it cannot be resolved."""
    target = _target(path)
    if target is None:
        return {}
    scope = vars(sys.modules[getattr(target, "__module__", "") or "builtins"])
    found = {}
    for name, parameter in inspect.signature(target).parameters.items():
        wanted = parameter.annotation
        if parameter.kind is parameter.VAR_KEYWORD:
            return {}  # any key is accepted
        try:
            found[name] = eval(wanted, dict(scope)) if isinstance(wanted, str) else wanted  # noqa: S307  # our source
        except (NameError, AttributeError, TypeError):
            found[name] = Any
    return {name: Any if wanted is parameter.empty else wanted for name, wanted in found.items()}


def _target(path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
