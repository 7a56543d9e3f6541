"""`nait show FILE`: how a file of rows is read, its first rows, and the scores beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nait.cli.selection.exported_rows import scores_place
from nait.cli.selection.row_texts import row_lines, wrapped
from nait.core.dataset.examples import Example, Pool
from nait.core.errors import DataError, first_line
from nait.data.pools import read_pool

SHOWN = 3
"""Rows that are shown."""
SELECTED, SCORES = "selected.jsonl", "scores.parquet"
"""The files of a run's folder."""
SCORED = {"id", "row", "rank", "selected", "answer_tokens"}
"""Columns of a file of scores."""


def shown_rows(path: Path, words: Sequence[str] = (), *, as_json: bool) -> str:
    """The facts and the first rows of a file as text or JSON. `words`: how it is read, of the config's `data`.

    Raises: DataError for a file that cannot be read; ConfigError for words that cannot be used.
    """
    if path.suffix == ".parquet" and _names(path) >= SCORED:
        name = path.name.removesuffix("scores.parquet").rstrip(".") or "selected"
        fix = f"Their rows are shown with them: nait show FILE, such as {name}.jsonl beside it."
        raise DataError("has scores, not rows", where=str(path), fix=fix)
    pool = _read(path, words)
    first = sorted(pool.examples, key=lambda example: example.row)[:SHOWN]
    scores, unused = _scores(path)
    if as_json:
        assert pool.source is not None
        rows = [json.loads(line) for line in pool.source.lines([example.row for example in first])]
        return json.dumps(
            {**_facts(pool), "scores": scores, "scores_unused": unused, "first": rows},
            indent=2,
            ensure_ascii=False,
        )
    known = _facts(pool)
    facts = {
        **known,
        "columns": ", ".join(_column(field, name) for field, name in known["columns"].items()),
        "unused": ", ".join(known["unused"]),
        "skipped": ", ".join(f"{count:,} {reason}" for reason, count in known["skipped"].items()),
    }
    if scores:
        facts["scores"] = f"{scores['file']}: {scores['selected']:,} of {scores['rows']:,} rows were selected"
    elif unused:
        facts["scores"] = unused
    lines = [wrapped(f"{name:<10} {value}") for name, value in facts.items() if value not in ("", 0)]
    return "\n".join([*lines, "", *(line for one in first for line in _shown(one, scores))])


def _names(path: Path) -> set[str]:
    """The names of the columns; none for a file that is not Parquet, which reading it as rows explains."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return set(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return set()


def _read(path: Path, words: Sequence[str]) -> Pool:
    if not words:
        return read_pool(path, duplicates="keep")
    from nait.cli.config.composed_config import composed
    from nait.cli.config.plain_config import build
    from nait.cli.config.short_options import pool_words

    job = ["stages=[select]", "selector=random", "model=nano", "target=none"]
    keep = () if any(word.startswith("data.duplicates=") for word in words) else ("data.duplicates=keep",)
    with composed([*job, *pool_words(str(path)), *keep, *words], command="") as composition:
        pool: Pool = build(composition.plain["data"])
        return pool


def _facts(pool: Pool) -> dict[str, Any]:
    return {
        "rows": len(pool),
        "format": pool.reading.get("format", ""),
        "columns": dict(pool.reading.get("columns") or {}),
        "unused": list(pool.reading.get("unused") or ()),
        "duplicates": pool.duplicates,
        "skipped": dict(pool.skipped),
    }


def _column(field: str, name: object) -> str:
    return field if field == name else f"{field} from {name}"


def _shown(example: Example, scores: dict[str, Any] | None) -> list[str]:
    best = scores["best"] if scores else []
    score = f", score {best[example.row]:.4g}" if example.row < len(best) else ""
    return [f"{example.row + 1}. row {example.row}{score}", *row_lines(example)]


def _scores(path: Path) -> tuple[dict[str, Any] | None, str | None]:
    """The scores in the file beside a selection's file, best first, or why that file is not used.

    Raises: DataError if it cannot be read.
    """
    place = scores_place(path)
    if path.name == SELECTED and not place.is_file():
        place = path.with_name(SCORES)
    if place == path or not place.is_file():
        return None, None
    try:
        return _read_scores(place, path)
    except Exception as error:  # a damaged file raises errors of many kinds
        raise DataError(
            f"cannot be read ({first_line(error)})", where=str(place), fix="Select again, or move it away."
        ) from error


def _read_scores(place: Path, rows: Path) -> tuple[dict[str, Any] | None, str | None]:
    import pandas as pd

    from nait.stages.artifacts.score_files import are_of

    table = pd.read_parquet(place, partitioning=None)
    names = [name for name in table.columns if name.startswith("score:")]
    if not names or not set(table.columns) >= SCORED:
        return None, None
    if not are_of(place, rows):
        return None, f"{place.name} is not used: it does not record that it was written for these rows"
    chosen = table[table.selected].sort_values("rank")
    best = [float(value) for value in chosen[names].max(axis=1).head(SHOWN)]
    return {"file": place.name, "rows": len(table), "selected": len(chosen), "best": best}, None
