"""Formats: detection of the columns that hold instruction, answer or conversation. Pure.

| format            | fields (required first)                                                        |
|-------------------|--------------------------------------------------------------------------------|
| messages          | messages: {role, content}, alternating texts or {input, output} turns          |
| sharegpt          | conversations: a list of {from, value}                                         |
| alpaca            | instruction, output; input, history, options, reasoning                        |
| prompt_completion | prompt, completion (texts or messages); input, history, options, reasoning     |
| text              | text: a transcript with role markers                                           |

Every format also has the optional fields `system`, `subtask`, `tools`, `media`, `label` and `weight`. A row is
refused when it has tools or media, or when its label or weight excludes its answer from training: all columns with
their usual names are checked. `messages` also has `speakers`: one speaker per text.
A layout assigns columns to the fields of a format; nait/data/README.md lists the supported names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nait.core.errors import ConfigError, did_you_mean
from nait.data import field_names
from nait.data.columns.assigned_columns import Columns, check_columns
from nait.data.columns.exclusions import with_media, without_class_labels
from nait.data.columns.fields.inclusion import EXCLUDING
from nait.data.columns.hints.mappings.choices import Guess
from nait.data.columns.hints.mappings.guesses import guess_mapping
from nait.data.columns.hints.missing_answers import unanswered
from nait.data.columns.hints.omissions import mapping_caveats, path_example
from nait.data.columns.hints.row_hints import hint, mapping_text
from nait.data.columns.hints.row_shapes import must_be_rewritten
from nait.data.columns.layouts import KEYS, TEXT, Layout
from nait.data.files.json_objects import describe_keys
from nait.data.files.named_files import KINDS
from nait.data.row_errors import Row, RowError, has_column

_COMMON_FIELDS = {
    "tools": field_names.TOOLS,
    "media": field_names.MEDIA,
    "system": field_names.SYSTEMS,
    "subtask": field_names.SUBTASKS,
    "label": field_names.LABELS,
    "weight": field_names.ROW_WEIGHTS,
}
_CHAT_FIELDS = {"speakers": field_names.SPEAKER_LISTS, **_COMMON_FIELDS}
_PAIR_FIELDS = {
    "input": field_names.INPUTS,
    "history": field_names.HISTORIES,
    "options": field_names.OPTIONS,
    "reasoning": field_names.REASONINGS,
    **_COMMON_FIELDS,
}


@dataclass(frozen=True)
class Shape:
    """Usual column names of a format. `needs_options`: only applies to rows with options."""

    format: str
    required: Mapping[str, str]
    optional: Mapping[str, Sequence[str]]
    needs_options: bool = False

    @property
    def fields(self) -> set[str]:
        return {*self.required, *self.optional}


def _shapes() -> tuple[Shape, ...]:
    """All shapes in order of precedence: conversations before pairs of columns."""

    def pair(names: tuple[str, str], *, needs_options: bool = False) -> Shape:
        return Shape(
            "prompt_completion", {"prompt": names[0], "completion": names[1]}, _PAIR_FIELDS, needs_options
        )

    def alpaca(output: str) -> Shape:
        return Shape("alpaca", {"instruction": "instruction", "output": output}, _PAIR_FIELDS)

    instruction, output, inputs = field_names.TASK_DEFINITION
    defined = Shape(
        "alpaca", {"instruction": instruction, "output": output}, {**_PAIR_FIELDS, "input": inputs}
    )
    return (
        *(Shape("messages", {"messages": name}, _CHAT_FIELDS) for name in field_names.CONVERSATIONS),
        *(
            Shape("sharegpt", {"conversations": name}, _COMMON_FIELDS)
            for name in reversed(field_names.CONVERSATIONS)
        ),
        alpaca("output"),
        alpaca("response"),
        *(pair(names) for names in field_names.PAIRS[: field_names.FIRST_PAIRS]),
        *(Shape("messages", {"messages": name}, _CHAT_FIELDS) for name in field_names.MORE_CONVERSATIONS),
        defined,
        *(pair(names) for names in field_names.PAIRS[field_names.FIRST_PAIRS :]),
        *(pair(names, needs_options=True) for names in field_names.CHOICE_PAIRS),
        Shape(TEXT, {TEXT: "text"}, _COMMON_FIELDS),
    )


SHAPES = _shapes()
OPTIONAL_NAMES = {name.casefold() for shape in SHAPES for names in shape.optional.values() for name in names}
"""Usual names of optional fields, in lower case."""
REQUIRED = frozenset(name for shape in SHAPES for name in shape.required)
"""Required fields of all formats."""
PAIRED = ("alpaca", "prompt_completion")
"""Formats with a column of questions and one of answers."""
NEARLY, HALF = 0.9, 0.5
"""Shares of the rows of the layout that fits most, which are enough for one with precedence."""
FORMATS = tuple(dict.fromkeys(shape.format for shape in SHAPES))


def find_layout(
    *rows: Row, format: str = "auto", columns: Columns | None = None, where: str = "", group: str = "data"
) -> Layout:
    """Layout that fits most of these rows, with the user's `columns` applied. `where` names the source.

    Ties go to the first layout, and so does a lead of few rows (`_first_of`). A column that the user assigns to one
    field is not used for another.
    Raises: ConfigError when the format, a field or a column does not exist; RowError when no layout fits.
    """
    if format != "auto" and format not in FORMATS:
        hint = did_you_mean(format, (*FORMATS, "auto"))
        if f".{format.casefold().removeprefix('.')}" in KINDS:
            hint = f"It is the layout of a row, not the type of a file, which its suffix tells. {hint}"
        raise ConfigError(f"Unknown format '{format}'", where=f"{group}.format", fix=hint)
    named = dict(columns or {})
    tried = [shape for shape in SHAPES if format in ("auto", shape.format)]
    check_columns(
        named,
        rows,
        required={name for shape in tried for name in shape.required},
        known={name for shape in tried for name in shape.fields},
        where=f"{group}.columns",
        source=where,
    )
    names = {name: name for row in rows for name in row}
    for name in list(names):
        names.setdefault(name.strip().casefold(), name)
    found = [_resolve(shape, named, names) for shape in tried if named.keys() <= shape.fields]
    layouts = [layout for layout in found if layout is not None]
    counts = [sum(layout.fits(row) for row in rows) for layout in layouts]
    if any(counts):
        # An empty conversation fits any notation: a column that another layout fills comes first.
        # So does a column of answers that are all missing.
        filled = [any(layout.fits(row) and not layout.is_blank(row) for row in rows) for layout in layouts]
        first = layouts[_first_of(layouts, counts, filled)]
        chosen = replace(first, literal=format != "auto")
        return with_media(without_class_labels(chosen, rows), rows)
    # The user chose the format: report faults per row instead of rejecting the format.
    if format in (*KEYS, TEXT):
        for layout in layouts:
            if any(has_column(row, column) for row in rows for column in layout.required.values()):
                return layout
    raise _nothing_fits(rows[0] if rows else {}, tried, layouts, group=group)


def _first_of(layouts: Sequence[Layout], counts: Sequence[int], filled: Sequence[bool]) -> int:
    """The place of the layout that fits most rows, or of an earlier one that fits nearly as many.

    A few rows that lack a column, such as the instruction, do not change how all others are read: they are invalid.
    A pair whose question is an input, as of (input, output), leaves out what is asked where there is an instruction
    too, so that half of its rows are enough for a pair with one.
    """
    best = max(range(len(layouts)), key=lambda i: (counts[i], filled[i]))
    for i in range(best):
        enough = HALF if _asks_by_input(layouts[best]) and _asks(layouts[i]) else NEARLY
        if filled[i] >= filled[best] and counts[i] > 0 and counts[i] >= enough * counts[best]:
            return i
    return best


def _asks_by_input(layout: Layout) -> bool:
    """Whether the question of a pair is in a column that is usually the input of an instruction."""
    return layout.format in PAIRED and next(iter(layout.required.values())).casefold() in field_names.INPUTS


def _asks(layout: Layout) -> bool:
    return layout.format in PAIRED and not _asks_by_input(layout)


def _resolve(shape: Shape, named: Columns, names: Mapping[str, str]) -> Layout | None:
    """Layout of a shape in the available columns; None when a required column is assigned to another field."""
    option_columns = named.get("options") if not isinstance(named.get("options"), str) else None
    given = {column for column in named.values() if isinstance(column, str)} | set(option_columns or ())
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
    further: dict[str, tuple[str, ...]] = {}
    for name, usual_names in shape.optional.items():
        column = named.get(name)
        free = dict.fromkeys(names[one] for one in usual_names if one in names and names[one] not in taken)
        optional[name] = (
            (column if isinstance(column, str) else None) if name in named else next(iter(free), None)
        )
        if name in EXCLUDING and name not in named and len(free) > 1:
            further[name] = tuple(free)[1:]
    columns = (
        tuple(option_columns)
        if option_columns
        else _find_option_columns(shape, optional, named, names, taken)
    )
    if shape.needs_options and not columns and not optional.get("options"):
        return None
    return Layout(shape.format, required, optional, columns, frozenset(named), further)


def _find_option_columns(
    shape: Shape, optional: Columns, named: Columns, names: Mapping[str, str], taken: Iterable[str]
) -> tuple[str, ...]:
    if "options" not in shape.optional or "options" in named or optional.get("options"):
        return ()
    for usual in field_names.OPTION_COLUMNS:
        held = [names.get(name, names.get(name.casefold(), "")) for name in usual]
        if all(held) and not {*held} & {*taken}:
            return tuple(held)
    return ()


def _nothing_fits(row: Row, tried: Sequence[Shape], layouts: Sequence[Layout], *, group: str) -> RowError:
    ways: dict[str, list[str]] = {}
    for shape in tried:
        if not shape.needs_options:
            ways.setdefault(shape.format, []).append("+".join(shape.required.values()))
    known = "; ".join(
        f"{format} ({' or '.join(list(dict.fromkeys(way))[:5])})" for format, way in ways.items()
    )
    fields: Guess = dict.fromkeys(layouts[-1].required if layouts else tried[-1].required, "COLUMN")
    if len(ways) > 1:
        guess = guess_mapping(row)
        fields = guess if guess else {"prompt": unanswered(row) or "COLUMN", "completion": "COLUMN"}
    unnamed = "Replace COLUMN by the names of your columns; a row needs a question and an answer. "
    unnamed += path_example(row)
    fix = (
        f"It has {describe_keys(row)}. Formats: {known}. {hint(row)}{mapping_caveats(row, fields)}"
        f"{unnamed if 'COLUMN' in fields.values() else ''}"
        f"Assign the columns with {group}.columns={mapping_text(fields)}"
    )
    if len(ways) > 1 and must_be_rewritten(row):
        fix = f"It has {describe_keys(row)}. {hint(row).removesuffix('. ')}"
    return RowError(
        "fits no format" if len(ways) > 1 else f"does not fit the format {tried[0].format}", fix=fix
    )
