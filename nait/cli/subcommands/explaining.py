"""`nait explain`: why a row is selected or not, and how stable the selection is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import typer

from nait.core.inputs.visible_text import visible


def explain(
    row: str = typer.Argument(
        metavar="ROW", help="A row of the pool: its id, or its number from 0 ('row N')."
    ),
    run: str = typer.Option(..., "--in", metavar="RUN", help="The folder of the run that selected."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    trust: bool = typer.Option(
        False, "--trust", help="Also build parts of other packages that the record names."
    ),
) -> Callable[[], None]:
    """Explain why a row is selected or not: score, rank, layers, nearest references, what was needed."""
    return lambda: print(visible(explained(row, run, as_json=as_json, trusted=trust)))


def explained(row: str, run: str, *, as_json: bool, trusted: bool = False) -> str:
    """The explanation as text or JSON. Raises: NaitError for an unknown row or run."""
    from nait.cli.selection.row_texts import wrapped
    from nait.cli.selection.selection_runs import recorded_selection
    from nait.cli.selection.summaries import explained_text
    from nait.stages.explanations import id_note

    found = recorded_selection(Path(run).expanduser(), trusted=trusted)
    stable, note = found.stability, id_note(found.pool, row)
    if as_json:
        rows = [asdict(one) for one in found.explained(row)]
        facts = {"row": rows, "stability": asdict(stable) if stable else None}
        return json.dumps({**facts, "note": note} if note else facts, indent=2)
    said = [note, explained_text(found, row), wrapped(stable.sentence()) if stable else ""]
    return "\n".join(filter(None, said))
