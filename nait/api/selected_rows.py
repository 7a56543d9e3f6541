"""`nait.select`: the best rows of a pool for a target, as objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nait.cli.config.short_options import AskedSize, select_words
from nait.cli.help import RECOMMENDED
from nait.cli.selection.exported_rows import place_for, scores_place, write_rows
from nait.cli.selection.selection_runs import IN_MEMORY, Read, SelectionRun, run_selection
from nait.cli.selection.summaries import ending
from nait.data.files.sources import memory_source
from nait.data.pools import read_pool, read_target
from nait.stages.artifacts.score_files import write_scored_rows
from nait.stages.explanations import Explanation
from nait.stages.stability import Stability

if TYPE_CHECKING:
    import datasets
    import pandas as pd

Rows: TypeAlias = "str | Path | Sequence[Mapping[str, Any]] | pd.DataFrame | datasets.Dataset"
"""Rows: the path of a file, a list of dicts, a pandas frame or a `datasets.Dataset`."""
FILE_KEYS = ("_target_", "path", "encoding", "separator", "field", "max_row_mb")
"""Keys of `data` and `target` that concern files only."""


@dataclass(frozen=True)
class Selected:
    """The rows that a method selected from a pool, best first.

    `rows`: the selected rows, unchanged, as dicts. `scores`: a frame with one line per row of the pool.
    `diagnostics`: what is known about the scores. `run`: the job, its pool and its artifacts in the store.
    """

    run: SelectionRun = field(repr=False)

    def __len__(self) -> int:
        return len(self.run.selection)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The selected rows, best first, with all their columns."""
        text = (self.run.folder / "selected.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.split("\n") if line]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One line per row of the pool that can be read, in the order of ids.

        Columns: `id`; `row`, the row's number in the pool, from 0; `score:TARGET` (unit: `diagnostics["unit"]`);
        `rank`, from 1, best first; `selected`; `answer_tokens`, cut at the model's `max_length`; `reason`, why a
        row cannot be selected.
        """
        import pandas as pd

        return pd.read_parquet(self.run.folder / "scores.parquet", partitioning=None)

    @property
    def diagnostics(self) -> dict[str, Any]:
        """Definition and unit of the scores, correlation with text length, the method's own measures, warnings."""
        facts = self.run.scores.manifest
        names = ("definition", "unit", "ineligible", "length_correlation", "diagnostics")
        return {**{name: facts[name] for name in names}, "warnings": list(self.run.warnings)}

    @property
    def stability(self) -> Stability | None:
        """The share of the rows that other draws of the reference rows select too; None without reference rows."""
        return self.run.stability

    def explain(self, row: str | int) -> list[Explanation]:
        """Why a row is selected or not: one explanation for each target.

        `row`: an int is its number in the pool (`scores.row`), a text its id. An explanation has the row's score,
        rank and percentile, the score that was needed, each layer's part and the nearest reference rows.

        Raises: DataError for an unknown row.
        """
        return self.run.explained(row if isinstance(row, str) else int(row))

    def save(self, path: str | Path) -> Path:
        """Write the rows to a file, and the scores beside it as NAME.scores.parquet. Returns the file of rows.

        The suffix names the format (.jsonl, .json, .parquet, .arrow, .csv, .tsv); without one it is the pool's own.
        Raises: ConfigError for another suffix, and for a file that is not an unchanged selection.
        """
        place = place_for(str(path), self.run.pool)
        write_rows(place, self.run.pool, self.run.selection)
        write_scored_rows(scores_place(place), self.run.made, self.run.pool, selected=place)
        return place

    def __str__(self) -> str:
        return ending(self.run, str(self.run.folder / "selected.jsonl"))


def select(
    pool: Rows,
    *,
    like: Rows | None = None,
    model: str | Path | None = None,
    top: float | str | None = None,
    rows: int | None = None,
    tokens: int | None = None,
    method: str = RECOMMENDED,
    store: str | Path | None = None,
    overrides: Sequence[str] = (),
) -> Selected:
    """Select the rows of a pool that are most like a reference set, as `nait select` does.

    - `pool`, `like`: the path of a file, a list of dicts, a pandas frame or a `datasets.Dataset`. `like` may also be
      the name of a target preset or a folder of exported directions.
    - `model`: a model's folder, its Hub id, or a preset such as "nano".
    - `top`, `rows`, `tokens`: how much to select, at most one of them: a share of the pool, a number of rows, or a
      number of answer tokens, each answer cut at the model's `max_length`. Without one: a tenth of the pool.
    - `method`: a selector of `nait ls selectors`.
    - `store`: the folder of artifacts (default: `store`, or NAIT_STORE). Stored measurements are not repeated.
    - `overrides`: further keys of `nait run`, such as "model.max_length=1024".

    Raises: nait.NaitError, with what is wrong, where, and how to fix it.
    """
    size = AskedSize(*map(_text, (top, rows, tokens)))
    more = [*overrides, *([] if store is None else [f"paths.store={store}"])]
    own_pool, own_like = isinstance(pool, str | Path), isinstance(like, str | Path | None)
    words = select_words(
        pool=_place(pool) or "" if own_pool else IN_MEMORY,
        like=_place(like) if own_like else IN_MEMORY,
        model=_place(model), size=size, method=method, more=more,
    )  # fmt: skip
    return Selected(
        run_selection(
            words,
            pool=None if own_pool else _reader(read_pool, pool, "pool"),
            targets=None if own_like else _reader(read_target, like, "reference"),
        )
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _place(value: object) -> str | None:
    """A path as text, absolute if it exists, so that the program may change its folder; other names are unchanged."""
    text = _text(value)
    return str(Path(text).absolute()) if text and Path(text).exists() else text


def _reader(read: Callable[..., Any], rows: Any, name: str) -> Read:
    """A reader of rows in memory under the keys of a config group."""

    def from_memory(config: dict[str, Any]) -> Any:
        keys = {key: value for key, value in config.items() if key not in FILE_KEYS}
        return read(memory_source(rows, name), **{**keys, "name": keys.get("name") or name})

    return from_memory
