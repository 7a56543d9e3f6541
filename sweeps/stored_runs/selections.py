"""Stored selections: the chosen ids, their texts, and the score columns of the pool (N rows)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.ranking.score_table import Contributions
from nait.stages.artifacts.score_files import EXAMPLES, ROWS, read_layers, read_parquet
from nait.store import Artifact, reading

SHORT = 220


@dataclass(frozen=True)
class ExampleRow:
    """A row of the pool as an example of its place in the ranking: `top`, `middle` or `bottom`; `rank` from 1."""

    place: str
    rank: int
    id: str
    text: str


@dataclass(frozen=True)
class Chosen:
    """A selection: the chosen ids in rank order, and the columns of its whole pool.

    `texts`: id -> excerpt, empty where the store has no texts. `ids` [N], `scores` column -> [N],
    `answer_tokens` [N]. `layers`: the contribution of each layer to the chosen rows' scores, for layered methods.
    `address`: the artifact's; seeds share it when the selection does not depend on the seed. `examples`: rows of the
    whole pool, best first; empty where the store has none.
    """

    chosen: tuple[str, ...]
    texts: Mapping[str, str]
    ids: tuple[str, ...]
    scores: Mapping[str, npt.NDArray[np.float64]]
    answer_tokens: npt.NDArray[np.int64]
    layers: Sequence[Contributions] = ()
    address: str = ""
    examples: tuple[ExampleRow, ...] = ()

    def like(self, other: Chosen) -> bool:
        """Whether both have the same artifact, or the same scores and rows."""
        if self.address and self.address == other.address:
            return True
        same_columns = self.chosen == other.chosen and self.scores.keys() == other.scores.keys()
        return same_columns and all(
            np.array_equal(values, other.scores[name], equal_nan=True) for name, values in self.scores.items()
        )


def read_chosen(found: Artifact) -> Chosen:
    """The ids, texts and columns of a `selections` artifact."""
    with reading(found.path):
        table = _typed(read_parquet(found.path / "scores.parquet"))
        ids = tuple(table.column("id").to_pylist())
        chosen = table.filter(table.column("selected")).sort_by("rank").column("id").to_pylist()
        names = [name for name in table.column_names if name.startswith("score:")]
        scores = {
            name.removeprefix("score:"): np.asarray(
                table.column(name).to_numpy(zero_copy_only=False), np.float64
            )
            for name in names
        }
        tokens = table.column("answer_tokens").to_numpy().astype(np.int64)
        texts = {}
        if (found.path / ROWS).is_file():
            with (found.path / ROWS).open(encoding="utf-8") as stream:
                texts = {key: shorten(line) for key, line in zip(chosen, stream, strict=False)}
        examples = _examples(found.path / EXAMPLES)
        return Chosen(tuple(chosen), texts, ids, scores, tokens, read_layers(found), found.address, examples)


def _examples(path: Path) -> tuple[ExampleRow, ...]:
    """The example rows of a file; none without the file."""
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="\n") as stream:
        lines = [json.loads(line) for line in stream]
    return tuple(
        ExampleRow(str(one["place"]), int(one["rank"]), str(one["id"]), excerpt(one["row"])) for one in lines
    )


def _typed(table: Any) -> Any:
    """The table with the types that its writer gives its columns. Raises: an error of pyarrow for other ones."""
    import pyarrow as pa

    kinds = {"id": pa.string(), "rank": pa.int64(), "selected": pa.bool_(), "answer_tokens": pa.int64()}
    names = [name for name in table.column_names if name in kinds or name.startswith("score:")]
    fields = [
        pa.field(name, kinds.get(name, pa.float64()), nullable=name not in ("id", "selected"))
        for name in names
    ]
    return table.select(names).cast(pa.schema(fields))


def shorten(line: str) -> str:
    """An excerpt of a JSON row: its strings joined and truncated to `SHORT` characters."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        row = {"": line}
    return excerpt(row)


def excerpt(row: object) -> str:
    """The strings of a parsed row, joined and truncated to `SHORT` characters."""
    words = " / ".join(_strings(row))
    return words if len(words) <= SHORT else words[: SHORT - 1] + "…"


def _strings(value: object) -> Iterable[str]:
    if isinstance(value, str) and value.strip():
        yield " ".join(value.split())
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def jaccard(a: Iterable[str], b: Iterable[str]) -> float:
    """The Jaccard index: size of the intersection over size of the union; 1 for two empty selections."""
    ours, theirs = set(a), set(b)
    return len(ours & theirs) / len(ours | theirs) if ours | theirs else 1.0
