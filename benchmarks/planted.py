"""Plants rows of known families in Alpaca: a pool on which a selector's precision can be measured.

    python -m benchmarks.planted --data DATA --out planted

writes `pool.jsonl` (Alpaca and, planted in it, rows of every family; columns family, skill, clean, lookalike) and
one reference file a family, whose rows are not in the pool. DATA holds `alpaca_52k`, `dolly_15k` and
`gpteacher_codegen` as Parquet under `pools/`, and under `hub/` the Hub's `openai/gsm8k`, `cais/mmlu` and
`google-research-datasets/mbpp`.

A proxy: a planted row is "in target", an Alpaca row is not. Alpaca holds sums and programs of its own, which count
as misses, and every data set has a manner of writing beside its capability. So a selector that scores high here
recognises a data set; whether that helps a model only training tells.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

Row = dict[str, Any]


def main() -> None:
    """Writes the pool and the reference files; prints how many rows each family has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--alpaca", type=int, default=52_002, help="rows of Alpaca, drawn by --seed")
    parser.add_argument("--planted", type=int, default=250, help="rows of each family in the pool")
    parser.add_argument("--reference", type=int, default=32, help="other rows of it in its reference file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    alpaca = list(_table(options.data / "pools" / "alpaca_52k.parquet"))
    pool = [_labelled(row, "alpaca") for row in Random(options.seed).sample(alpaca, options.alpaca)]
    for name, rows in families(options.data).items():
        drawn = Random(f"{name}/{options.seed}").sample(rows, options.planted + options.reference)
        pool += [_labelled(row, name) for row in drawn[: options.planted]]
        _write(options.out / f"{name}.jsonl", drawn[options.planted :])
        print(f"{name}: {len(rows)} rows, {options.planted} planted")
    Random(options.seed).shuffle(pool)
    _write(options.out / "pool.jsonl", pool)


def families(data: Path) -> dict[str, list[Row]]:
    """Family -> rows with instruction, input and output; training and validation splits alone."""
    hub = data / "hub"
    dolly = list(_table(data / "pools" / "dolly_15k.parquet"))
    return {
        "gsm8k": [
            _row(r["question"], r["answer"]) for r in _split(hub / "openai" / "gsm8k", "main", "train")
        ],
        "mmlu": [_mmlu(r) for r in _split(hub / "cais" / "mmlu", "", "validation")],
        "mbpp": [
            _row(r["text"], r["code"])
            for split in ("train", "validation")
            for r in _split(hub / "google-research-datasets" / "mbpp" / "full", "", split)
        ],
        "codegen": [
            _row(r["instruction"], r["output"], r.get("input") or "")
            for r in _table(data / "pools" / "gpteacher_codegen.parquet")
        ],
        "closed_qa": [
            _row(r["instruction"], r["output"], r["input"]) for r in dolly if r["category"] == "closed_qa"
        ],
        "creative": [
            _row(r["instruction"], r["output"]) for r in dolly if r["category"] == "creative_writing"
        ],
    }


def _row(instruction: str, output: str, context: str = "") -> Row:
    return {"instruction": instruction, "input": context, "output": output}


def _mmlu(row: Row) -> Row:
    options = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", row["choices"], strict=True))
    return _row(f"{row['question']}\n{options}", f"{'ABCD'[row['answer']]}. {row['choices'][row['answer']]}")


def _labelled(row: Row, family: str) -> Row:
    kept = {key: row[key] for key in ("instruction", "input", "output")}
    return {**kept, "family": family, "skill": family, "clean": True, "lookalike": False}


def _split(folder: Path, config: str, split: str) -> Iterator[Row]:
    for path in sorted((folder / config).rglob(f"*{split}*.parquet")):
        yield from _table(path)


def _table(path: Path) -> Iterator[Row]:
    from pyarrow import parquet

    yield from parquet.read_table(path).to_pylist()


def _write(path: Path, rows: list[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
