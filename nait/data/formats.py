"""Formats: which columns of a row are the instruction, the answer, the conversation. Pure.

| format            | fields (required first)                                                        |
|-------------------|--------------------------------------------------------------------------------|
| messages          | messages: {role, content}, alternating texts, or turns {input, output}         |
| sharegpt          | conversations: a list of {from, value}                                         |
| alpaca            | instruction, output; input, history, options, reasoning                        |
| prompt_completion | prompt, completion (texts or messages); input, history, options, reasoning     |
| text              | text: one text that marks its speakers                                         |

Each also has the fields `system`, `subtask`, `tools` and `media`; a row that fills one of the last two is refused.
A layout is one way the columns are called; README.md beside this file has the tables.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from nait.core.errors import ConfigError, did_you_mean
from nait.core.examples import Turn
from nait.data import words
from nait.data.choices import Options, chosen_label, read_options, with_options
from nait.data.conversations import (
    CHAT,
    SHAREGPT,
    Dialogue,
    Handling,
    Said,
    looks_like,
    messages_of,
    read_conversation,
    spoken,
    take_turns,
    with_reasoning,
)
from nait.data.objects import told
from nait.data.rows import (
    SHOWN_NAMES,
    Row,
    RowError,
    checked_text,
    has_column,
    is_empty,
    kind,
    optional_text,
    required_text,
    shown,
    text_paths,
    value_at,
)
from nait.data.transcripts import read_transcript, way_of

Columns = Mapping[str, str | Sequence[str] | None]

_KEYS = {"messages": CHAT, "sharegpt": SHAREGPT}
_TEXT = "text"
_ASIDE = {"tools": words.TOOLS, "media": words.MEDIA, "system": words.SYSTEMS, "subtask": words.SUBTASKS}
_BESIDE = {
    "input": words.INPUTS,
    "history": words.HISTORIES,
    "options": words.OPTIONS,
    "reasoning": words.REASONINGS,
    **_ASIDE,
    "label": words.LABELS,
}
_REFUSED = {
    "tools": ("offers tools", "Tools are not supported: leave such rows out"),
    "media": ("holds an image, a video or a sound", "A language model sees none: leave such rows out"),
}


class Content(NamedTuple):
    """What a row says, and what was done to it."""

    turns: tuple[Turn, ...]
    system: str
    subtask: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A format and the columns that hold its fields; None for an optional field that no column holds.

    `spread` are the columns of options that have one each, `assigned` the fields whose columns the user has named.
    """

    format: str
    required: Mapping[str, str]
    optional: Mapping[str, str | None] = field(default_factory=dict)
    spread: tuple[str, ...] = ()
    assigned: frozenset[str] = frozenset()

    def __str__(self) -> str:
        held = {name: column for name, column in {**self.required, **self.optional}.items() if column}
        told = [f"{name} in {shown(column)}" for name, column in held.items()]
        if self.spread:
            told.append(f"options in {', '.join(map(shown, self.spread))}")
        return f"format {self.format}, " + ", ".join(told)

    @property
    def columns(self) -> frozenset[str]:
        """The columns that are read; of a path the column in which it begins, too."""
        held = [
            *self.required.values(),
            *self.spread,
            *(column for column in self.optional.values() if column),
        ]
        return frozenset([*held, *(column.split(".")[0] for column in held)])

    def read(self, row: Row, handling: Handling = Handling()) -> Content:  # noqa: B008  # frozen
        """What the row says. Raises: RowError."""
        for name, (what, mend) in _REFUSED.items():
            column = self.optional.get(name)
            if column and not is_empty(value_at(row, column)):
                raise RowError(what, column=column, mend=f"{mend}, or set data.columns={{{name}: null}}")
        self._check_label(row)
        system = _system(row, self.optional.get("system"))
        turns, said, notes = self._dialogue(row, handling)
        if system and said and system != said:
            raise RowError(
                "differs from the conversation's own system message",
                column=self.optional["system"] or "",
                mend="Keep one of the two, or set data.columns={system: null}",
            )
        return Content(turns, said or system, _subtask(row, self.optional.get("subtask")), notes)

    def _check_label(self, row: Row) -> None:
        column = self.optional.get("label")
        if column and value_at(row, column) is False:
            mend = "Leave such rows out, or set data.columns={label: null}"
            raise RowError("marks the answer as not wanted", column=column, mend=mend)

    def _dialogue(self, row: Row, handling: Handling) -> Dialogue:
        first, *rest = self.required.values()
        if self.format in _KEYS:
            return read_conversation(row, first, _KEYS[self.format], handling)
        if self.format == _TEXT:
            return read_transcript(required_text(row, first), first, handling)
        if any(_is_messages(value_at(row, column)) for column in (first, rest[0])):
            return self._messages(row, first, rest[0], handling)
        return self._pair(row, first, rest[0], handling)

    def _pair(self, row: Row, first: str, last: str, handling: Handling) -> Dialogue:
        """A question and its answer in columns of their own, behind the turns of a history."""
        notes: list[str] = []
        options = self._options(row)
        question = with_options(required_text(row, first), options)
        field = list(self.required)[1]
        answer = chosen_label(
            value_at(row, last), options, last, field=field, assigned=field in self.assigned
        )
        thought = value_at(row, self.optional.get("reasoning"))
        answer = with_reasoning(answer, thought, self.optional.get("reasoning") or last, "", handling, notes)
        turn = Turn(question, answer, optional_text(row, self.optional.get("input")))
        history = self.optional.get("history")
        if history is None or is_empty(value_at(row, history)):
            return Dialogue((turn,), "", tuple(notes))
        earlier = read_conversation(row, history, CHAT, handling)
        return Dialogue((*earlier.turns, turn), earlier.system, (*earlier.notes, *notes))

    def _options(self, row: Row) -> Options | str | None:
        held = self.optional.get("options")
        return read_options(row, self.spread or ((held,) if held else ()))

    def _messages(self, row: Row, first: str, last: str, handling: Handling) -> Dialogue:
        """Prompt and completion as messages: an answer in the prompt is context, as in TRL."""
        notes: list[str] = []
        said: list[Said] = []
        for column, speaker in ((first, "user"), (last, "assistant")):
            value = value_at(row, column)
            if isinstance(value, list):
                found = messages_of(value, column, CHAT, handling, notes)
                if (
                    column == last
                    and said
                    and [one[:2] for one in found[: len(said)]] == [one[:2] for one in said]
                ):
                    found = found[len(said) :]  # the whole conversation, prompt included
            else:
                found = [Said(speaker, checked_text(value, column))]
            said += [one._replace(trained=False) for one in found] if column == first else found
        return take_turns(said, last, handling, notes)

    def fits(self, row: Row) -> bool:
        """Whether the row has all required columns, and values of the right form in them."""
        if not all(has_column(row, column) for column in self.required.values()):
            return False
        first = value_at(row, next(iter(self.required.values())))
        if self.format == _TEXT:
            return way_of(first) is not None
        return self.format not in _KEYS or looks_like(first, _KEYS[self.format])


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
        Shape(_TEXT, {_TEXT: "text"}, _ASIDE),
    )


SHAPES = _shapes()
OPTIONAL_NAMES = {name.casefold() for shape in SHAPES for names in shape.optional.values() for name in names}
"""Columns, in lower case, that hold a part of an example wherever they appear."""
FORMATS = tuple(dict.fromkeys(shape.format for shape in SHAPES))


def find_layout(
    *rows: Row, format: str = "auto", columns: Columns | None = None, where: str = "", group: str = "data"
) -> Layout:
    """The layout that fits most of these rows of the source `where`, with the user's column names put in.

    Of layouts that fit equally many rows it is the first. A column that the user has given a field is no other
    field's. Raises: ConfigError when the format, a field or a column does not exist; RowError when nothing fits.
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
    if format in (*_KEYS, _TEXT):
        for layout in layouts:
            if any(has_column(row, column) for row in rows for column in layout.required.values()):
                return layout
    raise _nothing_fits(rows[0] if rows else {}, tried, layouts, group=group)


def _marked(layout: Layout, rows: Sequence[Row]) -> Layout:
    """The layout; a column "label" that is never true or false is no mark of answers."""
    column = layout.optional.get("label")
    if column is None or "label" in layout.assigned:
        return layout
    if any(isinstance(value_at(row, column), bool) for row in rows):
        return layout
    return replace(layout, optional={**layout.optional, "label": None})


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
            raise ConfigError(f"Unknown field '{name}'", where=where, mend=did_you_mean(name, known))
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
        fields = _guess(row) or {"prompt": "COLUMN", "completion": "COLUMN"}
    mapping = ", ".join(f"{name}: {column}" for name, column in fields.items())
    mend = (
        f"It has {told(row)}. Formats: {known}. {_hint(row)}Name the columns by {group}.columns={{{mapping}}}"
    )
    return RowError(
        "fits no format" if len(ways) > 1 else f"does not fit the format {tried[0].format}", mend=mend
    )


def _hint(row: Row) -> str:
    """What a row is that is no example."""
    if _is_message(row):
        return "Each row is one message: write one conversation a row, {messages: [...]}. "
    if len(row) == 1 and isinstance(next(iter(row.values())), str) and _guess(row) is None:
        return "One text a row is neither a question nor an answer: write it as {instruction, output}. "
    return ""


def _is_message(row: Row) -> bool:
    return "role" in row and ("text" in row or "content" in row)


def _guess(row: Row) -> dict[str, str] | None:
    """The mapping that may read a row that no layout fits: a preference pair's better half, or parts of columns."""
    if _is_message(row):
        return None
    held = {name: value for name, value in list(row.items())[:SHOWN_NAMES] if "rejected" not in name}
    if isinstance(held.get("prompt"), list) and isinstance(held.get("chosen"), list):
        return {"prompt": "prompt", "completion": "chosen"}
    parts = [
        (f"{name}.{key}", part)
        for name, one in held.items()
        if isinstance(one, dict)
        for key, part in one.items()
    ]
    for path, value in sorted([*held.items(), *parts], key=lambda one: "chosen" not in one[0]):
        if _is_messages(value):
            return {"conversations" if looks_like(value, SHAREGPT) else "messages": path}
        if way_of(value) is not None:
            return {"text": path}
    texts = [name + path for name, value in held.items() for path in text_paths(value)]
    asked = _first_word(texts, words.ASKING) or next(iter(texts), None)
    answer = _first_word([path for path in texts if path != asked], words.ANSWERING)
    if asked and not answer:
        answer = next((path for path in texts[texts.index(asked) + 1 :]), None)
    return {"prompt": asked, "completion": answer} if asked and answer else None


def _first_word(paths: Sequence[str], known: Sequence[str]) -> str | None:
    """The first path that leads through a column or key of one of these names, in the names' order."""
    return next((path for word in known for path in paths if word in path.casefold().split(".")), None)


def _is_messages(value: object) -> bool:
    """Whether it is a list of messages that name their speakers."""
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    return looks_like(value, SHAREGPT) or any(key in value[0] for key in CHAT.role)


def _system(row: Row, column: str | None) -> str:
    """The system text; one that is written as a message or in parts is read as such."""
    value = value_at(row, column) if column else None
    if isinstance(value, (dict, list)) and value:
        return spoken(value, column or "", "")[0]
    return optional_text(row, column)


def _subtask(row: Row, column: str | None) -> str:
    """The row's subtask; a number is taken as its digits. Strings are shared: there are few."""
    value: Any = value_at(row, column) if column else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str):
        mend = "Write it as text, or set data.columns={subtask: null}"
        raise RowError(f"is {kind(value)}, not text", column=column or "", mend=mend)
    return sys.intern(optional_text(row, column))
