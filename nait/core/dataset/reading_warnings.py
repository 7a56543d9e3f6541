"""Warnings of how a pool or a reference set was read, from the summary that its reader wrote."""

from __future__ import annotations

from nait.core.dataset.examples import Pool, Target

EMPTY_INSTRUCTION = "empty instruction"
LOUD_SHARE = 0.05


def describe_reading(rows: Pool | Target) -> list[str]:
    """Sentences on rows without a question, and on a column of questions that is not used; mostly none."""
    role, reading = "Target" if isinstance(rows, Target) else "Pool", rows.reading
    empty = int((reading.get("counts") or {}).get(EMPTY_INSTRUCTION, 0))
    unused = list(reading.get("unused_questions") or ())
    columns = dict(reading.get("columns") or {})
    read = ", ".join(f"{field} in '{column}'" for field, column in columns.items())
    found = []
    if empty > LOUD_SHARE * len(rows.examples):
        found.append(f"{role} {rows.name}: {empty:,} rows have no question ({read}).")
    if unused:
        names = ", ".join(f"'{name}'" for name in unused)
        found.append(
            f"{role} {rows.name}: {names} may hold questions and is not used ({read}). Assign it with "
            f"{'target' if role == 'Target' else 'data'}.columns if it does."
        )
    return found
