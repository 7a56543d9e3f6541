"""Evaluations as files: `results.json` and `items.parquet`, one row for each task, item, metric and filter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from nait.core.inputs.shapes import (
    fault,
    finite,
    flag,
    keyed,
    leaf,
    listed,
    optional,
    real,
    record,
    text,
    whole,
)
from nait.core.statistics.results import Evaluation, Item, Member, Result
from nait.stages.artifacts.score_files import read_parquet
from nait.store import damaged, read_json, reading, whole_file, write_json

RESULTS = "results.json"
ITEMS = "items.parquet"
Place = tuple[str, str, str]
"""Task, metric, filter."""
MEMBER = record({"task": text, "metric": text, "filter": text, "weight": finite})
SHAPE = record(
    {
        "results": listed(
            record(
                {"task": text, "metric": text, "value": real, "stderr": optional(real), "n": whole,
                 "missing": listed(text)},
                filter=text, num_fewshot=optional(whole), higher_is_better=flag, is_group=flag, primary=flag,
                members=listed(MEMBER),
            )
        ),
    },
    versions=keyed(leaf),
)  # fmt: skip
"""The shape of `results.json`, which may come from elsewhere."""
FIELDS = ("task", "doc_id", "metric", "filter", "value", "doc_hash")


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write both files into `folder`, each atomically."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    items = evaluation.items
    columns = {
        field.name: pa.array([getattr(item, field.name) for item in items], field.type) for field in _schema()
    }
    with whole_file(folder / ITEMS) as part:
        pq.write_table(pa.table(columns), part, compression="zstd", write_page_checksum=True)
    write_json(
        folder / RESULTS,
        {
            "results": [asdict(result) for result in evaluation.results],
            "missing": list(evaluation.missing),
            "warnings": list(evaluation.warnings),
            "versions": dict(evaluation.versions),
            "answers_at_limit": {task: list(count) for task, count in evaluation.answers_at_limit.items()},
            **({"code_execution": dict(evaluation.code_execution)} if evaluation.code_execution else {}),
        },
    )


def _schema(*, plain: bool = False) -> Any:
    """The Arrow schema of the items, none of which is null; `plain`: without dictionaries."""
    import pyarrow as pa

    name = pa.string() if plain else pa.dictionary(pa.int32(), pa.string())
    kinds = (name, pa.int64() if plain else pa.int32(), name, name, pa.float64(), pa.string())
    return pa.schema(
        [pa.field(field, kind, nullable=False) for field, kind in zip(FIELDS, kinds, strict=True)]
    )


def read_results(folder: Path) -> tuple[Result, ...]:
    """Typed results, without the items. Raises: StoreError when `results.json` cannot be read or lacks a field."""
    return typed_results(read_json(folder / RESULTS), folder)


def typed_results(kept: Any, folder: Path) -> tuple[Result, ...]:
    """Typed results from the parsed `results.json` of `folder`. Raises: StoreError when a field is missing."""
    if wrong := fault(kept, SHAPE):
        raise damaged(folder / RESULTS, f"the evaluation cannot be read ({wrong})")
    return tuple(_result(row) for row in kept["results"])


def _result(row: Mapping[str, Any]) -> Result:
    members = tuple(Member(**_known(Member, member)) for member in row.get("members", ()))
    return Result(**{**_known(Result, row), "missing": tuple(row["missing"]), "members": members})


def _known(kind: type, entries: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that are fields of a dataclass."""
    return {name: value for name, value in entries.items() if name in kind.__dataclass_fields__}  # type: ignore[attr-defined]


def read_items(folder: Path) -> tuple[Item, ...]:
    """Per-item outcomes. Raises: StoreError when `items.parquet` cannot be read or lacks a column."""
    with reading(folder / ITEMS):
        table = read_parquet(folder / ITEMS, columns=list(FIELDS))
        columns = table.cast(_schema(plain=True)).to_pydict()
        return tuple(Item(*row) for row in zip(*(columns[name] for name in FIELDS), strict=True))


def read_outcomes(folder: Path) -> tuple[Item, ...]:
    """Per-item outcomes of the metrics that are means over items. Raises: StoreError when a file cannot be read."""
    return itemised(read_results(folder), read_items(folder))


def itemised(results: Iterable[Result], found: Iterable[Item]) -> tuple[Item, ...]:
    """Per-item outcomes of the metrics whose value is the mean over items.

    Perplexities and medians are not such means: a statistic over their items does not describe them.
    """
    items: dict[Place, list[Item]] = {}
    for item in found:
        items.setdefault((item.task, item.metric, item.filter), []).append(item)
    values = {(one.task, one.metric, one.filter): one.value for one in results}
    return tuple(
        item
        for place, group in items.items()
        if place in values
        and math.isclose(fmean(one.value for one in group), values[place], rel_tol=1e-6, abs_tol=1e-9)
        for item in group
    )
