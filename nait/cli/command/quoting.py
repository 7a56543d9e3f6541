"""Quoting of `key=value` words for Hydra's grammar.

Hydra's grammar interprets or rejects `#`, quotes, brackets, `=`, `,`, `~` and non-ASCII letters. A value that it
cannot parse is quoted as text, unchanged. A leading `~` in a path is the home folder.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from nait.core.errors import ConfigError
from nait.core.inputs.paths import at_home
from nait.core.inputs.repeated_keys import repeated_in_text, repeated_key_error

PATHS = ("path", "mirror", "store", "runs", "folder", "adapter", "moments")
"""Last parts of keys whose value is a file or a folder."""
TEXTS = (*PATHS, "name", "label", "group", "project", "entity", "subset", "revision", "split")
"""Last parts of keys whose value is text, even if it looks like a number."""
WITH_VALUE = (*TEXTS, "seed", "tags", "beside", "tasks", "family", "capabilities")
"""Last parts of keys that an empty value cannot mean anything for."""
NUMBERS = ("selector.subset",)
"""Keys whose value is a number, although their last part is among `TEXTS`."""
PERCENT = re.compile(r"\s*[\d.]+\s*%\s*")
_QUOTED_KEY = re.compile(r"([{,]\s*)(['\"])([A-Za-z_]\w*)\2\s*:")
_SPECIAL = re.compile(r"[\\()\[\]{}:=, \t]")
"""Characters of a name that Hydra's grammar reads only after a backslash."""
OWN_FILE = "A YAML file FOLDER/experiment/NAME.yaml is read with --config-dir FOLDER experiment=NAME."
_PARSER = OverridesParser.create()


def readable(words: Sequence[str]) -> list[str]:
    """The words in Hydra's grammar. Raises: ConfigError for an open bracket, a repeated name or an empty path."""
    return [part for word in words for part in _readable(word)]


def _readable(word: str) -> list[str]:
    key, equal, value = word.partition("=")
    if (
        equal
        and not value.strip()
        and (key.split(".")[-1] in PATHS or key in ("hydra.run.dir", "hydra.sweep.dir"))
    ):
        fix = f"Give a file or a folder, or remove {key}=."
        raise ConfigError("is an empty path", where=key, fix=fix)
    if equal and not value.strip() and key.split(".")[-1] in WITH_VALUE and not key.startswith("hydra"):
        raise ConfigError("is empty", where=key, fix=f"Type {key}=VALUE, or remove {key}=.")
    text = not equal or key.split(".")[-1] in TEXTS  # a file's name may contain any character
    if not text and (name := repeated_in_text(value)) is not None:
        raise repeated_key_error(name, key)
    if not equal or key.startswith("hydra") or key[:1] == "~":
        return [word]
    if _parse(f"{key}=0") is None:
        raise _unreadable_key(key, value)
    if key == "budget" and _budget(value):
        return _budget(value)
    last = key.split(".")[-1]
    if last not in TEXTS and all(PERCENT.fullmatch(part) for part in value.split(",")):
        return [f"{key}={','.join(_share(part) for part in value.split(','))}"]
    return [f"{key}={_value(word, last, value)}"]


def _budget(value: str) -> list[str]:
    """The overrides that `budget=10%`, `budget=0.1` and `budget=500` abbreviate; empty for an option's name."""
    parts = value.split(",")
    if all(PERCENT.fullmatch(part) for part in parts):
        return ["budget=ratio", f"budget.ratio={','.join(map(_share, parts))}"]
    if all(re.fullmatch(r"0?\.\d+", part) for part in parts):
        return ["budget=ratio", f"budget.ratio={value}"]
    if all(re.fullmatch(r"[1-9]\d+|[2-9]", part) for part in parts):
        return ["budget=count", f"budget.count={value}"]
    return []


def _share(percent: str) -> str:
    """A percentage as a fraction, without binary rounding error: 7% is 0.07."""
    return f"{float(percent.strip().rstrip('% ')) / 100:.12g}"


def _value(word: str, last: str, value: str) -> str:
    """The value, quoted if Hydra cannot parse it or would misread it."""
    parsed = _parse(word)
    if last in PATHS and (parsed is None or value.startswith("~") or _names_one_file(parsed, value)):
        return _paths(value)
    if parsed is not None:
        is_text = last in TEXTS and parsed.key_or_group not in NUMBERS
        return quoted(value) if is_text and isinstance(parsed._value, bool | int | float) else value
    plain = _QUOTED_KEY.sub(r"\1\3:", value) if value[:1] == "{" else value
    if plain != value and _parse(f"key={plain}") is not None:
        return plain  # JSON: Hydra's grammar has no quotes around the names of a dict
    repaired = _container(value) if value[:1] in "[{" else _several(value)
    if _parse(f"key={repaired}") is None:
        raise _unreadable(word.partition("=")[0], value)
    return repaired


def _unreadable_key(key: str, value: str) -> ConfigError:
    """The error for a key that Hydra's grammar has no form for: in braces, its last part may have more characters."""
    parent, _, name = key.rpartition(".")
    typed = name if _is_name(name) else f'"{name}"'
    if (plain := "".join(key.split())) != key and "." not in parent and _parse(f"{plain}=0") is not None:
        fix = f"Type {shlex.quote(f'{plain}={value.strip()}')}."
    elif parent and _is_name(_name(typed)):
        fix = f"Type {shlex.quote(f'{parent}={{{typed}: {value}}}')}."
    else:
        fix = f"Choose another name, or write it in a YAML file. {OWN_FILE}"
    return ConfigError("a key cannot have this name on the command line", where=key, fix=fix)


def _unreadable(key: str, value: str) -> ConfigError:
    """The error for a value that cannot be read, with what to type instead."""
    what = f"'{value}' cannot be read"
    if key == "template":
        return ConfigError(what, where=key, fix="A template is a file: template=file template.path=FILE.")
    cut = value.rstrip(" ,")
    if cut != value and _parse(f"{key}={cut}") is not None:
        return ConfigError(
            what, where=key, fix=f"Remove the comma at its end: {shlex.quote(f'{key}={cut}')}."
        )
    name = _unreadable_name(value)
    pairs = re.sub(r"(?<=[\w\"'])\s*=\s*", ": ", value)
    if value[:1] == "{" and pairs != value and _parse(f"{key}={pairs}") is not None:
        fix = f"A dict has colons: {shlex.quote(f'{key}={pairs}')}."
        if name is not None:
            what = f"the name {name} in '{value}' has a '='"
            corrected = value.replace(name, f'"{name}"', 1)
            fix += f" If it belongs to the name, quote the name: {shlex.quote(f'{key}={corrected}')}."
        return ConfigError(what, where=key, fix=fix)
    if name is not None:
        letters = dict.fromkeys(one for one in _unquoted(name) if not _is_name(_escaped(f"a{one}")))
        lacking = f"has {' '.join(letters)}, which" if letters else "has a form that"
        what = f"the name {name} {lacking} a name in braces cannot have"
        fix = f"Choose another name, or write {key} in a YAML file. {OWN_FILE}"
        return ConfigError(what, where=key, fix=fix)
    example = shlex.quote("selector.layers=[1,2]")
    fix = f"Close every bracket and quote, and quote the word for the shell: {example}."
    return ConfigError(what, where=key, fix=fix)


def _unreadable_name(value: str) -> str | None:
    """The first name in a dict, or in a dict in it, that Hydra's grammar has no form for; None without one."""
    if (value[:1], value[-1:]) != ("{", "}"):
        return None
    for part in _split(value[1:-1], ","):
        name, *inner = (one.strip() for one in _split(part, ":", most=1))
        if inner and not _is_name(_name(name)):
            return name
        if inner and (found := _unreadable_name(inner[0])) is not None:
            return found
    return None


def _is_name(text: str) -> bool:
    return _parse(f"key={{{text}: 0}}") is not None


def _paths(value: str) -> str:
    """One path, or several of a sweep if no file has the whole value as its name."""
    parts = [value] if Path(value).exists() else _split(value, ",")
    return ",".join(quoted(_absolute(part) if part.startswith("~") else part) for part in parts)


def _several(value: str) -> str:
    return ",".join(map(_element, _split(value, ",")))


def _names_one_file(parsed: Override, value: str) -> bool:
    """Whether a value that parses as several values or as a list is the name of one existing file."""
    several = parsed.is_sweep_override() or not isinstance(parsed._value, str | QuotedString)
    return several and Path(value).exists() and not all(Path(part).exists() for part in value.split(","))


def _absolute(path: str) -> str:
    """The absolute path, `~` expanded. `~NAME` without such a user is a name in the working folder."""
    return os.path.abspath(at_home(path))  # noqa: PTH100  # Path.absolute leaves ".." in


def literal(text: str) -> str:
    """The text with its interpolations escaped, such as a file's name from elsewhere: `${` stays `${`."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def quoted(text: str) -> str:
    """The text as a quoted value of Hydra's grammar."""
    return str(QuotedString(text, Quote.single).with_quotes())


def _parse(word: str) -> Override | None:
    try:
        (override,) = _PARSER.parse_overrides([word])
    except HydraException:
        return None
    return override


def _container(value: str) -> str:
    """A list or dict, with quotes around each element that needs them."""
    first, last, inner = value[0], value[-1:], value[1:-1]
    if (first, last) not in (("[", "]"), ("{", "}")):
        return value
    parts = [part.strip() for part in _split(inner, ",")]
    if first == "[":
        return f"[{','.join(map(_element, parts))}]"
    pairs = [[one.strip() for one in _split(part, ":", most=1)] for part in parts]
    return "{" + ",".join(":".join([_name(name), *map(_element, rest)]) for name, *rest in pairs) + "}"


def _name(text: str) -> str:
    """A name in a dict in Hydra's grammar, which has no quotes around it: its special characters are escaped."""
    inner = _unquoted(text)
    if inner == text:
        return text
    parsed = _parse(f"key={{{_escaped(inner)}: 0}}")
    names = list(parsed._value) if parsed is not None and isinstance(parsed._value, dict) else []
    return _escaped(inner) if [*map(str, names)] == [inner] else text  # `1e3` would be a number


def _escaped(name: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", name)


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def _element(text: str) -> str:
    if text[:1] in ("[", "{"):
        return _container(text)
    if text.startswith("~/"):
        return quoted(_absolute(text))
    return text if _parse(f"key=[{text}]") is not None else quoted(text)


def _split(text: str, mark: str, *, most: int = -1) -> list[str]:
    """The parts between marks outside brackets and quotes, at most `most` + 1 parts."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        depth += (letter in "[{") - (letter in "]}") if not quote else 0
        if letter == mark and not quote and depth == 0 and most != len(parts) - 1:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
