"""Options for parsing rows into examples: the shared config keys of `data` and `target`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nait.core.errors import ConfigError
from nait.core.inputs.checks import check_choice
from nait.data.chat.reasoning import Handling
from nait.data.columns.assigned_columns import Columns

_CHOICES = {"on_bad": ("error", "skip"), "reasoning": ("keep", "drop"), "turns": ("refuse", "mend")}
_FIRST_INDICES = (0, 1)


@dataclass(frozen=True)
class RowParser:
    """Options for parsing rows. `group` is the config group that error messages name."""

    format: str = "auto"
    columns: Columns | None = None
    id_column: str | None = "auto"
    limit: int | None = None
    on_bad: str = "error"
    reasoning: str = "keep"
    turns: str = "refuse"
    first_index: int = 0
    group: str = "data"

    def __post_init__(self) -> None:
        for key, known in _CHOICES.items():
            check_choice(f"{self.group}.{key}", getattr(self, key), known)
        if self.limit is not None and (not isinstance(self.limit, int) or self.limit < 1):
            fix = "Give a whole number from 1 on, or null for all rows."
            raise ConfigError(f"'{self.limit}' is not a number of rows", where=f"{self.group}.limit", fix=fix)
        if self.first_index not in _FIRST_INDICES or isinstance(self.first_index, bool):
            fix = "Write 0 or 1: the index of the first option in the answers."
            raise ConfigError(
                f"'{self.first_index}' is not 0 or 1", where=f"{self.group}.first_index", fix=fix
            )
        columns: object = self.columns
        if columns is not None and not isinstance(columns, Mapping):
            fix = "Write {instruction: my_column, output: other_column}."
            raise ConfigError("is not a mapping of fields to columns", where=f"{self.group}.columns", fix=fix)

    @property
    def handling(self) -> Handling:
        return Handling(self.reasoning, self.turns, self.first_index)
