"""Samples of an evaluation: prompts, responses and outcomes of its items, and the versions used."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nait.store import whole_file

SAMPLES = "samples.parquet"


def write_samples(samples: Mapping[str, Sequence[Mapping[str, Any]]], folder: Path) -> None:
    """Write the harness's samples to `samples.parquet`: prompts, responses, targets, outcomes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, texts = pa.string(), pa.list_(pa.string())
    kinds = {
        "task": text, "doc_id": pa.int32(), "doc_hash": text, "filter": text, "prompt": text,
        "target": text, "responses": texts, "filtered": texts, "metrics": text,
    }  # fmt: skip
    rows = [{"task": task, **row} for task, group in samples.items() for row in map(_sample, group)]
    table = pa.Table.from_pylist(rows, schema=pa.schema(kinds.items()))
    with whole_file(folder / SAMPLES) as part:
        pq.write_table(table, part, compression="zstd", write_page_checksum=True)


def _sample(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "doc_id": int(row["doc_id"]),
        "doc_hash": str(row["doc_hash"]),
        "filter": "" if row["filter"] == "none" else str(row["filter"]),
        "prompt": str(row["arguments"][0][0]),
        "target": str(row["target"]),
        "responses": list(_responses(row)),
        "filtered": [str(part) for part in row["filtered_resps"]],
        "metrics": _outcomes(row),
    }


def _outcomes(row: Mapping[str, Any]) -> str:
    """JSON of an item's metrics. NaN stays NaN, and an array or another object that JSON lacks is its `str`."""
    return json.dumps({name: row[name] for name in row["metrics"]}, default=str)


def _responses(row: Mapping[str, Any]) -> Iterator[str]:
    """Generated texts; for a multiple-choice answer, JSON of the answer and its log-likelihood in nats."""
    for arguments, answers in zip(row["arguments"], row["resps"], strict=True):
        for answer in answers:
            rated = isinstance(answer, (tuple, list)) and len(arguments) > 1
            yield json.dumps({"answer": arguments[1], "nats": answer[0]}) if rated else str(answer)


def versions(raw: Mapping[str, Any]) -> dict[str, str]:
    """The versions that an evaluation used: of packages, and of each task (`task <name>`)."""
    packages = ("lm_eval", "datasets", "transformers", "torch")
    tasks = {f"task {name}": str(version) for name, version in raw.get("versions", {}).items()}
    return {**{name: importlib.metadata.version(name) for name in packages}, **tasks}
