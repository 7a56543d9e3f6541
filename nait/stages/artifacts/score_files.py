"""Score tables and selections as files: Parquet for numbers, JSON lines for the user's rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.dataset.examples import Pool
from nait.core.errors import StoreError
from nait.core.ranking.orders import Ranking
from nait.core.ranking.score_table import Contributions, ScoreTable
from nait.core.ranking.selection import Selection
from nait.store import Artifact, reading, whole_file
from nait.store.files.checksums import sha256

SCORE_PREFIX = "score:"
ROWS = "selected.jsonl"
EXAMPLES, SHOWN = "examples.jsonl", 3
"""The file of example rows of a selection, and how many it has of each place in the ranking."""
LAYERS, LAYER_PREFIX = "layers.parquet", "layer_"
SELECTED_SHA256 = "selected_rows_sha256"
"""Key of the metadata of a file of scores: the SHA-256 of the file of selected rows beside it."""


def write_scores(folder: Path, table: ScoreTable, answer_tokens: npt.NDArray[np.int64]) -> None:
    """Write `scores.parquet`: id, a `score:<target>` column per target, reason if ineligible, answer tokens."""
    columns: dict[str, Any] = {"id": list(table.ids)}
    columns |= {SCORE_PREFIX + name: _nullable(table.column(name)) for name in table.targets}
    columns["reason"] = [table.reasons.get(key, "") for key in table.ids]
    columns["answer_tokens"] = answer_tokens
    write_parquet(folder / "scores.parquet", columns)


def _nullable(values: npt.NDArray[Any]) -> Any:
    import pyarrow as pa

    return pa.array(np.asarray(values, dtype=np.float64), from_pandas=True)  # NaN becomes null


def write_parquet(path: Path, columns: Mapping[str, Any], *, facts: Mapping[str, str] | None = None) -> None:
    """Write a Parquet file of these columns, atomically. `facts`: key-value metadata of the file."""
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(dict(columns)).replace_schema_metadata(dict(facts) if facts else None)
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    with whole_file(path) as part:
        parquet.write_table(
            table,
            part,
            compression="zstd",
            use_dictionary=[
                name for name in table.column_names if name not in floats
            ],  # scores rarely repeat
            column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),  # smaller and faster
            write_page_checksum=True,
        )


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> Any:
    """The Arrow table of a Parquet file, with the checksums of its pages verified; of `columns`, those that it has.

    `parquet.read_table` would take a folder named `key=value` for a column.
    """
    from pyarrow import parquet

    with parquet.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(columns=columns)


def read_scores(artifact: Artifact) -> tuple[ScoreTable, npt.NDArray[np.int64]]:
    """Score table of a `scores` artifact, and answer tokens [N]."""
    with reading(artifact.path):
        table = read_parquet(artifact.path / "scores.parquet")
        names = list(artifact.manifest["targets"])
        values = [table.column(SCORE_PREFIX + name).to_numpy(zero_copy_only=False) for name in names]
        ids = tuple(table.column("id").to_pylist())
        reasons = table.column("reason").to_pylist()
        return (
            ScoreTable(
                ids=ids,
                targets=tuple(names),
                values=np.stack(values, dtype=np.float64).T,  # contiguous columns
                unit=str(artifact.manifest["unit"]),
                definition=str(artifact.manifest["definition"]),
                reasons={key: reason for key, reason in zip(ids, reasons, strict=True) if reason},
                exhaustive=bool(artifact.manifest["exhaustive"]),
            ),
            table.column("answer_tokens").to_numpy().astype(np.int64),
        )


def write_selection(
    folder: Path,
    table: ScoreTable,
    ranking: Ranking,
    selection: Selection,
    answer_tokens: npt.NDArray[np.int64],
) -> None:
    """Write `scores.parquet`: id, scores, rank (from 1), selected, answer tokens, reason."""
    import pyarrow as pa

    rank = np.full(len(table.ids), -1, dtype=np.int64)
    rank[ranking] = np.arange(1, len(ranking) + 1)
    chosen = np.zeros(len(table.ids), dtype=bool)
    chosen[list(selection.rows)] = True
    columns: dict[str, Any] = {"id": list(table.ids)}
    columns |= {SCORE_PREFIX + name: _nullable(table.column(name)) for name in table.targets}
    columns["rank"] = pa.array(rank, mask=rank < 0)
    columns["selected"] = chosen
    columns["answer_tokens"] = answer_tokens
    columns["reason"] = [table.reasons.get(key, "") for key in table.ids]
    write_parquet(folder / "scores.parquet", columns)


def write_scored_rows(path: Path, artifact: Artifact, pool: Pool, *, selected: Path) -> None:
    """Write the scores of a `selections` artifact for its user: with `row`, each row's number in the pool's source.

    Rows are counted from 0, over all files of the pool in their order. `selected`: the file of the selected rows; its
    SHA-256 in the metadata tells whether it still has them (`are_of`).
    """
    import pyarrow as pa

    with reading(artifact.path):
        table = read_parquet(artifact.path / "scores.parquet")
    numbers = {example.id: example.row for example in pool.examples}
    row = pa.array([numbers[key] for key in table.column("id").to_pylist()], pa.int64())
    named = {name: table.column(name) for name in table.column_names}
    columns = {"id": named.pop("id"), "row": row, **named}
    write_parquet(path, columns, facts={SELECTED_SHA256: sha256(selected)})


def read_numbers(path: Path) -> dict[str, int]:
    """Id -> number of the row in the pool's source, of a file that `write_scored_rows` wrote."""
    with reading(path):
        table = read_parquet(path)
    if not {"id", "row"} <= set(table.column_names):
        return {}
    return dict(zip(table.column("id").to_pylist(), table.column("row").to_pylist(), strict=True))


def are_of(scores: Path, selected: Path) -> bool:
    """Whether a file of scores was written for this file of selected rows, which is unchanged since."""
    from pyarrow import parquet

    known = (parquet.read_schema(scores).metadata or {}).get(SELECTED_SHA256.encode())
    return known is not None and known.decode() == sha256(selected)


def write_layers(folder: Path, ids: Sequence[str], found: Sequence[Contributions]) -> dict[str, Any]:
    """Write `layers.parquet`: id, target and `layer_<number>` columns, all rows of one target before the next.

    Returns the entry of the manifest: target -> layer -> mean contribution over all eligible rows.
    """
    columns: dict[str, Any] = {
        "id": [key for _ in found for key in ids],
        "target": [one.target for one in found for _ in ids],
    }
    parts = np.concatenate([one.parts for one in found])
    columns |= {f"{LAYER_PREFIX}{layer}": parts[:, k] for k, layer in enumerate(found[0].layers)}
    write_parquet(folder / LAYERS, columns)
    return {one.target: dict(zip(map(str, one.layers), one.means.tolist(), strict=True)) for one in found}


def read_layers(artifact: Artifact) -> list[Contributions]:
    """Layer contributions to the scores of a `selections` artifact's rows, best first; empty without layers."""
    from pyarrow import compute

    if not (artifact.path / LAYERS).is_file():
        return []
    with reading(artifact.path):
        table = read_parquet(artifact.path / LAYERS)
        found = []
        for target, means in artifact.manifest["layer_means"].items():
            rows = table.filter(compute.equal(table.column("target"), target))
            parts = [rows.column(LAYER_PREFIX + layer).to_numpy() for layer in means]
            found.append(
                Contributions(
                    target, tuple(map(int, means)), np.stack(parts, axis=1), np.array([*means.values()])
                )
            )
    return found


def read_ranking(artifact: Artifact) -> list[str]:
    """Ids of the eligible rows of a `selections` artifact, best first."""
    from pyarrow import compute

    with reading(artifact.path):
        table = read_parquet(artifact.path / "scores.parquet", columns=["id", "rank"])
        ranked = table.filter(compute.is_valid(table.column("rank"))).sort_by("rank")
        return list(ranked.column("id").to_pylist())


def write_selected_rows(path: Path, pool: Pool, selection: Selection) -> None:
    """Write `selected.jsonl`: the user's rows, unchanged, in rank order. Raises: StoreError without a source file."""
    _write_lines(path, _source(pool, path).lines([pool.examples[row].row for row in selection.rows]))


def write_user_rows(folder: Path, pool: Pool, selection: Selection, ranking: Ranking) -> None:
    """Write `selected.jsonl`, as `write_selected_rows` does, and `examples.jsonl`, in one reading of the pool.

    `examples.jsonl` has the user's rows at the top, middle and bottom of the ranking, best first. Each line has
    `place`, `rank` (from 1), `id` and `row`.
    """
    source = _source(pool, folder)
    places = example_places(len(ranking))
    examples = [pool.examples[int(ranking[rank])] for rank in places]
    numbers = [pool.examples[row].row for row in selection.rows]
    lines = iter(source.lines([*numbers, *(example.row for example in examples)]))
    _write_lines(folder / ROWS, islice(lines, len(numbers)))
    entries = [
        {"place": place, "rank": rank + 1, "id": example.id, "row": json.loads(line)}
        for (rank, place), example, line in zip(places.items(), examples, lines, strict=True)
    ]
    _write_lines(folder / EXAMPLES, (json.dumps(entry, ensure_ascii=False) for entry in entries))


def example_places(rows: int) -> dict[int, str]:
    """Ranks (from 0) of the example rows of a ranking of so many rows, in order -> top, middle or bottom."""
    starts = {
        "bottom": rows - SHOWN,
        "middle": (rows - SHOWN) // 2,
        "top": 0,
    }  # a later place wins a shared rank
    found = {
        rank: place
        for place, start in starts.items()
        for rank in range(start, start + SHOWN)
        if 0 <= rank < rows
    }
    return dict(sorted(found.items()))


def _source(pool: Pool, at: Path) -> Any:
    """The pool's source. Raises: StoreError without one."""
    if pool.source is None:
        raise StoreError(f"pool '{pool.name}' has no source to copy rows from", where=str(at))
    return pool.source


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def read_selection(artifact: Artifact, pool: Pool) -> Selection:
    """The selection of a `selections` artifact, as rows of `pool`."""
    with reading(artifact.path):
        table = read_parquet(artifact.path / "scores.parquet", columns=["id", "rank", "selected"])
        chosen = table.filter(table.column("selected")).sort_by("rank")
        ids = tuple(chosen.column("id").to_pylist())
        places = {key: row for row, key in enumerate(pool.ids)}
        return Selection(ids, tuple(places[key] for key in ids), int(artifact.manifest["answer_tokens"]))
