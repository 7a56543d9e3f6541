"""A pool with known families planted in Alpaca, to measure a selector's precision.

    python -m benchmarks.planted --data DATA --out planted

writes `pool.jsonl` (Alpaca with planted rows of every family; columns family, skill, clean, lookalike) and one
reference file per family, whose rows are not in the pool. `--families` selects from gsm8k, mmlu, mbpp, xquad_de,
codegen, closed_qa, creative. `python -m benchmarks.readings` plants such a pool and evaluates the selectors on it.

DATA holds, under `hub/`, copies of data sets in the Hub's layout: `openai/gsm8k`, `cais/mmlu`,
`google-research-datasets/mbpp`, `google/xquad`. Alpaca is `hub/tatsu-lab/alpaca` or `pools/alpaca_52k.parquet`; the
last three families are `pools/dolly_15k.parquet` and `pools/gpteacher_codegen.parquet`. Only the data sets of the
selected families are needed.

The labels are a proxy: a planted row is "in target", an Alpaca row is not. Alpaca contains arithmetic and code of its
own, which count as misses, and every data set differs in style as well as in capability. A selector with a high score
recognises a data set; only training shows whether that helps a model.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

Row = dict[str, Any]
USUAL = ("gsm8k", "mmlu", "mbpp", "codegen", "closed_qa", "creative")


def main() -> None:
    """Write the pool and the reference files; print the number of rows in each family."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--families", default=",".join(USUAL), help="comma-separated names")
    parser.add_argument("--alpaca", type=int, default=52_002, help="rows of Alpaca, drawn by --seed")
    parser.add_argument("--planted", type=int, default=250, help="rows of each family in the pool")
    parser.add_argument(
        "--reference", type=int, default=32, help="further rows of each family, for its reference file"
    )
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    plant(
        given.data, given.out, given.families.split(","),
        alpaca=given.alpaca, planted=given.planted, reference=given.reference, seed=given.seed,
    )  # fmt: skip


def plant(
    data: Path, out: Path, families: Sequence[str], *, alpaca: int, planted: int, reference: int, seed: int
) -> None:
    """Write `pool.jsonl` and one reference file per family into `out`; print the number of rows in each family.

    Raises: SystemExit for a family that is unknown or has too few rows.
    """
    out.mkdir(parents=True, exist_ok=True)
    pool = [_labelled(row, "alpaca") for row in Random(seed).sample(list(_alpaca(data)), alpaca)]
    for name in families:
        rows = family(name, data)
        if len(rows) < planted + reference:
            raise SystemExit(f"{name}: {data} holds {len(rows)} rows, {planted + reference} are needed.")
        drawn = Random(f"{name}/{seed}").sample(rows, planted + reference)
        pool += [_labelled(row, name) for row in drawn[:planted]]
        _write(out / f"{name}.jsonl", drawn[planted:])
        print(f"{name}: {len(rows)} rows, {planted} planted")
    Random(seed).shuffle(pool)
    _write(out / "pool.jsonl", pool)


def family(name: str, data: Path) -> list[Row]:
    """A family's rows with instruction, input and output, never from a test split.

    Raises: SystemExit for an unknown name.
    """
    if name not in FAMILIES:
        raise SystemExit(f"There is no family '{name}'. Known: {', '.join(FAMILIES)}.")
    return list(FAMILIES[name](data))


def _gsm8k(data: Path) -> Iterator[Row]:
    for row in _split(data / "hub" / "openai" / "gsm8k", "main", "train"):
        yield _row(row["question"], row["answer"])


def _mmlu(data: Path) -> Iterator[Row]:
    for row in _split(data / "hub" / "cais" / "mmlu", "", "validation"):
        options = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", row["choices"], strict=True))
        answer = f"{'ABCD'[row['answer']]}. {row['choices'][row['answer']]}"
        yield _row(f"{row['question']}\n{options}", answer)


def _mbpp(data: Path) -> Iterator[Row]:
    for split in ("train", "validation"):
        for row in _split(data / "hub" / "google-research-datasets" / "mbpp", "full", split):
            yield _row(row["text"], row["code"])


def _xquad_de(data: Path) -> Iterator[Row]:
    for row in _split(data / "hub" / "google" / "xquad", "xquad.de", "validation"):
        yield _row(row["question"], row["answers"]["text"][0], row["context"])


def _codegen(data: Path) -> Iterator[Row]:
    for row in _table(data / "pools" / "gpteacher_codegen.parquet"):
        yield _row(row["instruction"], row["output"], row.get("input") or "")


def _closed_qa(data: Path) -> Iterator[Row]:
    for row in _table(data / "pools" / "dolly_15k.parquet"):
        if row["category"] == "closed_qa":
            yield _row(row["instruction"], row["output"], row["input"])


def _creative(data: Path) -> Iterator[Row]:
    for row in _table(data / "pools" / "dolly_15k.parquet"):
        if row["category"] == "creative_writing":
            yield _row(row["instruction"], row["output"])


FAMILIES: dict[str, Callable[[Path], Iterator[Row]]] = {
    "gsm8k": _gsm8k, "mmlu": _mmlu, "mbpp": _mbpp, "xquad_de": _xquad_de, "codegen": _codegen,
    "closed_qa": _closed_qa, "creative": _creative,
}  # fmt: skip


def _alpaca(data: Path) -> Iterator[Row]:
    """Alpaca's rows, from the Hub's layout or from one file."""
    mirror = data / "hub" / "tatsu-lab" / "alpaca"
    return _split(mirror, "", "train") if mirror.is_dir() else _table(data / "pools" / "alpaca_52k.parquet")


def _row(instruction: str, output: str, context: str = "") -> Row:
    return {"instruction": instruction, "input": context, "output": output}


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
