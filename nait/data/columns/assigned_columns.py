"""Checks of the columns that the user assigns to fields with `columns={field: column}`. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import yaml

from nait.core.errors import ConfigError, did_you_mean
from nait.data.columns.hints.row_hints import mapping_text
from nait.data.row_errors import Row, has_column

Columns = Mapping[str, str | Sequence[str] | None]

_FIELD_OF = {
    **dict.fromkeys(("question", "query", "problem", "user", "human"), "prompt"),
    **dict.fromkeys(
        ("answer", "answers", "response", "target", "solution", "assistant", "chosen"), "completion"
    ),
    **dict.fromkeys(("conversation", "dialogue", "dialog", "chat"), "messages"),
    **dict.fromkeys(("choices",), "options"),
    **dict.fromkeys(("context", "passage"), "input"),
    **dict.fromkeys(("system_prompt", "system_message"), "system"),
}
"""Usual column names -> the field that they are a word for."""
_ADVISED = re.compile(r"data\.columns=(\{[^{}]*\})")


def check_columns(
    named: Columns,
    rows: Sequence[Row],
    *,
    required: Collection[str],
    known: Collection[str],
    where: str,
    source: str,
) -> None:
    """Raises: ConfigError for an unknown field, a null required field, and a missing or twice assigned column.

    `required` and `known` are the fields of the formats that are tried; `source` names the file.
    """
    seen: dict[str, str] = {}
    for name, given in named.items():
        if name not in known:
            fix = _fields_fix(named, known)
            if given in known and any(has_column(row, name) for row in rows):
                fix = f"Write the field before its column: {{{given}: {name}}}."
            raise ConfigError(f"Unknown field '{name}'", where=where, fix=fix)
        if given is None and name in required:
            raise ConfigError(
                f"required field '{name}' is null",
                where=where,
                fix="Give it a column: only optional fields may be null.",
            )
        several = not isinstance(given, str) and given is not None
        if several and (name != "options" or not all(isinstance(one, str) for one in given or ())):
            raise ConfigError("is not a column name", where=f"{where}.{name}", fix="Give one name.")
        for column in [] if given is None else [given] if isinstance(given, str) else list(given):
            if column in seen:
                fix = "Give each field its own column."
                raise ConfigError(
                    f"column '{column}' is already assigned to '{seen[column]}'",
                    where=f"{where}.{name}",
                    fix=fix,
                )
            seen[column] = name
            if not any(has_column(row, column) for row in rows):
                names = [one[:60] for one in dict.fromkeys(one for row in rows for one in row)][:1000]
                raise ConfigError(
                    f"there is no column '{column}' in the first row of {source}"
                    if len(rows) < 2
                    else f"there is no column '{column}' in the first {len(rows)} rows of {source}",
                    where=f"{where}.{name}",
                    fix=did_you_mean(column, names),
                )


def with_assigned(fix: str, named: Columns, required: Collection[str]) -> str:
    """Advice whose mappings of optional fields also hold the columns that the user has assigned."""

    def completed(found: re.Match[str]) -> str:
        try:
            advised = yaml.safe_load(found[1])
        except yaml.YAMLError:
            return found[0]
        if not isinstance(advised, dict) or {*advised} & {*required}:
            return found[0]
        held = {
            name: one
            for name, one in named.items()
            if name not in advised and (one is None or one not in advised.values())
        }
        return f"data.columns={mapping_text({**held, **advised})}"

    return _ADVISED.sub(completed, fix)


def _fields_fix(named: Columns, known: Iterable[str]) -> str:
    """The mapping with each name replaced by the field that it is a word for; else similar or all fields."""
    fields = {name: name if name in known else _FIELD_OF.get(name.casefold(), "") for name in named}
    columns = [column for column in named.values() if isinstance(column, str)]
    if "" in fields.values() or len({*fields.values()}) < len(named) or len(columns) < len(named):
        return did_you_mean(next(name for name in named if name not in known), known)
    return f"Type {mapping_text(dict(zip(fields.values(), columns, strict=True)))}."
