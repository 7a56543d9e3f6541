"""Formats: which columns of a row are the instruction, the answer, the conversation. Pure.

| format            | fields (required first)                                                        |
|-------------------|--------------------------------------------------------------------------------|
| messages          | messages: {role, content}, alternating texts, or turns {input, output}         |
| sharegpt          | conversations: a list of {from, value}                                         |
| alpaca            | instruction, output; input, history, options, reasoning                        |
| prompt_completion | prompt, completion (texts or messages); input, history, options, reasoning     |
| text              | text: one text that marks its speakers                                         |

Each also has the fields `system`, `subtask`, `tools`, `media`, `label` and `weight`. A row is refused that offers
tools or media, or whose label or weight says that its answer is not to be learned.
A layout is one way the columns are called; README.md beside this file has the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nait.core.errors import ConfigError, did_you_mean
from nait.data.columns import column_names as words
from nait.data.columns.hints import caution, guess, hint, no_columns, written
from nait.data.columns.layouts import KEYS, TEXT, Layout
from nait.data.files.json_objects import told
from nait.data.row_errors import Row, RowError, has_column, value_at

Columns = Mapping[str, str | Sequence[str] | None]

_ASIDE = {
    "tools": words.TOOLS,
    "media": words.MEDIA,
    "system": words.SYSTEMS,
    "subtask": words.SUBTASKS,
    "label": words.LABELS,
    "weight": words.ROW_WEIGHTS,
}
_BESIDE = {
    "input": words.INPUTS,
    "history": words.HISTORIES,
    "options": words.OPTIONS,
    "reasoning": words.REASONINGS,
    **_ASIDE,
}


@dataclass(frozen=True)
class Shape:
    """The usual names of a format's columns. `chooses`: only for rows that have options."""

    format: str
    required: Mapping[str, str]
    optional: Mapping[str, Sequence[str]]
    chooses: bool = False

    @property
    def fields(self) -> set[str]:
        return {*self.required, *self.optional}


def _shapes() -> tuple[Shape, ...]:
    """All shapes, in the order in which they are tried: a conversation says more than a pair of columns."""

    def pair(names: tuple[str, str], *, chooses: bool = False) -> Shape:
        return Shape("prompt_completion", {"prompt": names[0], "completion": names[1]}, _BESIDE, chooses)

    def alpaca(output: str) -> Shape:
        return Shape("alpaca", {"instruction": "instruction", "output": output}, _BESIDE)

    instruction, output, inputs = words.DEFINED
    defined = Shape("alpaca", {"instruction": instruction, "output": output}, {**_BESIDE, "input": inputs})
    return (
        *(Shape("messages", {"messages": name}, _ASIDE) for name in words.CONVERSATIONS),
        *(Shape("sharegpt", {"conversations": name}, _ASIDE) for name in reversed(words.CONVERSATIONS)),
        alpaca("output"),
        alpaca("response"),
        *(pair(names) for names in words.PAIRS[: words.FIRST_PAIRS]),
        *(Shape("messages", {"messages": name}, _ASIDE) for name in words.MORE_CONVERSATIONS),
        defined,
        *(pair(names) for names in words.PAIRS[words.FIRST_PAIRS :]),
        *(pair(names, chooses=True) for names in words.CHOICE_PAIRS),
        Shape(TEXT, {TEXT: "text"}, _ASIDE),
    )


SHAPES = _shapes()
OPTIONAL_NAMES = {name.casefold() for shape in SHAPES for names in shape.optional.values() for name in names}
"""Columns, in lower case, that hold a part of an example wherever they appear."""
FORMATS = tuple(dict.fromkeys(shape.format for shape in SHAPES))


def find_layout(
    *rows: Row, format: str = "auto", columns: Columns | None = None, where: str = "", group: str = "data"
) -> Layout:
    """The layout that fits most of these rows of the source `where`, with the user's column names put in.

    Of layouts that fit equally many rows it is the first. A column that the user has given a field is not
    read as another. Raises: ConfigError when the format, a field or a column does not exist; RowError when nothing
    fits.
    """
    if format != "auto" and format not in FORMATS:
        hint = did_you_mean(format, (*FORMATS, "auto"))
        raise ConfigError(f"Unknown format '{format}'", where=f"{group}.format", mend=hint)
    named = dict(columns or {})
    tried = [shape for shape in SHAPES if format in ("auto", shape.format)]
    _check_columns(named, tried, rows, where=f"{group}.columns", source=where)
    names = {name: name for row in rows for name in row}
    for name in list(names):
        names.setdefault(name.strip().casefold(), name)
    found = [_resolved(shape, named, names) for shape in tried if named.keys() <= shape.fields]
    layouts = [layout for layout in found if layout is not None]
    counts = [sum(layout.fits(row) for row in rows) for layout in layouts]
    if any(counts):
        return _marked(layouts[counts.index(max(counts))], rows)
    # The user has said which format it is: what does not fit then is the row's fault, and named with it.
    if format in (*KEYS, TEXT):
        for layout in layouts:
            if any(has_column(row, column) for row in rows for column in layout.required.values()):
                return layout
    raise _nothing_fits(rows[0] if rows else {}, tried, layouts, group=group)


def _marked(layout: Layout, rows: Sequence[Row]) -> Layout:
    """The layout, without a "label" that is never true or false and a "weight" that is neither that nor a number."""
    optional = dict(layout.optional)
    for name, forms in (("label", bool), ("weight", (bool, int, float))):
        column = optional.get(name)
        if column is None or name in layout.assigned:
            continue
        if not any(isinstance(value_at(row, column), forms) for row in rows):
            optional[name] = None
    return replace(layout, optional=optional)


def _resolved(shape: Shape, named: Columns, names: Mapping[str, str]) -> Layout | None:
    """The shape's fields in the columns there are; None where one that it needs belongs to another field."""
    spread = named.get("options") if not isinstance(named.get("options"), str) else None
    given = {column for column in named.values() if isinstance(column, str)} | set(spread or ())
    required: dict[str, str] = {}
    for name, usual in shape.required.items():
        column = named.get(name)
        required[name] = (
            column if isinstance(column, str) else names.get(usual, names.get(usual.casefold(), usual))
        )
        if not isinstance(column, str) and required[name] in given:
            return None
    taken = {*required.values(), *given}
    taken |= {column.split(".")[0] for column in taken}
    optional: dict[str, str | None] = {}
    for name, usual_names in shape.optional.items():
        column = named.get(name)
        free = (names[one] for one in usual_names if one in names and names[one] not in taken)
        optional[name] = (column if isinstance(column, str) else None) if name in named else next(free, None)
    columns = tuple(spread) if spread else _spread(shape, optional, named, names, taken)
    if shape.chooses and not columns and not optional.get("options"):
        return None
    return Layout(shape.format, required, optional, columns, frozenset(named))


def _spread(
    shape: Shape, optional: Columns, named: Columns, names: Mapping[str, str], taken: Iterable[str]
) -> tuple[str, ...]:
    if "options" not in shape.optional or "options" in named or optional.get("options"):
        return ()
    for usual in words.SPREAD_OPTIONS:
        held = [names.get(name, names.get(name.casefold(), "")) for name in usual]
        if all(held) and not {*held} & {*taken}:
            return tuple(held)
    return ()


def _check_columns(
    named: Columns, tried: Sequence[Shape], rows: Sequence[Row], *, where: str, source: str
) -> None:
    required = {name for shape in tried for name in shape.required}
    known = {name for shape in tried for name in shape.fields}
    seen: dict[str, str] = {}
    for name, given in named.items():
        if name not in known:
            mend = did_you_mean(name, known)
            if given in known and any(has_column(row, name) for row in rows):
                mend = f"A field is named before its column: {{{given}: {name}}}."
            raise ConfigError(f"Unknown field '{name}'", where=where, mend=mend)
        if given is None and name in required:
            raise ConfigError(
                f"'{name}' must be a column", where=where, mend="Only optional fields may be null."
            )
        several = not isinstance(given, str) and given is not None
        if several and (name != "options" or not all(isinstance(one, str) for one in given or ())):
            raise ConfigError("is not a column's name", where=f"{where}.{name}", mend="Give one name.")
        for column in [] if given is None else [given] if isinstance(given, str) else list(given):
            if column in seen:
                mend = "Give each field a column of its own."
                raise ConfigError(f"'{column}' is {seen[column]} already", where=f"{where}.{name}", mend=mend)
            seen[column] = name
            if not any(has_column(row, column) for row in rows):
                names = [one[:60] for one in dict.fromkeys(one for row in rows for one in row)][:1000]
                raise ConfigError(
                    f"there is no column '{column}' in the first row of {source}"
                    if len(rows) < 2
                    else f"there is no column '{column}' in the first {len(rows)} rows of {source}",
                    where=f"{where}.{name}",
                    mend=did_you_mean(column, names),
                )


def _nothing_fits(row: Row, tried: Sequence[Shape], layouts: Sequence[Layout], *, group: str) -> RowError:
    ways: dict[str, list[str]] = {}
    for shape in tried:
        if not shape.chooses:
            ways.setdefault(shape.format, []).append("+".join(shape.required.values()))
    known = "; ".join(
        f"{format} ({' or '.join(list(dict.fromkeys(way))[:5])})" for format, way in ways.items()
    )
    fields = dict.fromkeys(layouts[-1].required if layouts else tried[-1].required, "COLUMN")
    if len(ways) > 1:
        fields = guess(row) or {"prompt": "COLUMN", "completion": "COLUMN"}
    mend = (
        f"It has {told(row)}. Formats: {known}. {hint(row)}{caution(row, fields)}"
        f"Name the columns by {group}.columns={written(fields)}"
    )
    if len(ways) > 1 and no_columns(row):
        mend = f"It has {told(row)}. {hint(row).removesuffix('. ')}"
    return RowError(
        "fits no format" if len(ways) > 1 else f"does not fit the format {tried[0].format}", mend=mend
    )
