"""Evaluations as files: `results.json` and `items.parquet`."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from nait.core.results import Evaluation, Item, Result
from nait.store import read_json, write_json


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Writes both files into `folder`, whole or not at all."""
    import pyarrow as pa
    from pyarrow import parquet

    fields = [field.name for field in dataclasses.fields(Item)]
    columns = {name: [getattr(item, name) for item in evaluation.items] for name in fields}
    part = folder / "items.parquet.part"
    parquet.write_table(pa.table(columns), part, compression="zstd")
    os.replace(part, folder / "items.parquet")
    write_json(
        folder / "results.json",
        {
            "results": [dataclasses.asdict(result) for result in evaluation.results],
            "missing": list(evaluation.missing),
            "warnings": list(evaluation.warnings),
            "versions": dict(evaluation.versions),
        },
    )


def read_evaluation(folder: Path) -> Evaluation:
    """The evaluation written there."""
    record = read_json(folder / "results.json")
    return Evaluation(
        results=tuple(_result(row) for row in record["results"]),
        items=tuple(read_items(folder)),
        missing=tuple(record["missing"]),
        warnings=tuple(record["warnings"]),
        versions=record["versions"],
    )


def read_results(folder: Path) -> tuple[Result, ...]:
    """The typed results alone, without the items."""
    return tuple(_result(row) for row in read_json(folder / "results.json")["results"])


def _result(row: dict[str, Any]) -> Result:
    return Result(**{**row, "missing": tuple(row["missing"])})


def read_items(folder: Path) -> list[Item]:
    """The per-item outcomes."""
    from pyarrow import parquet

    return [Item(**row) for row in parquet.read_table(folder / "items.parquet").to_pylist()]
