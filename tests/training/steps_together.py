"""Trainings that two processes share, one after the other, as each process runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nait.core.dataset.token_table import TokenTable
from nait.core.errors import NaitError
from nait.core.ranks import Workers
from nait.models.devices import process_group
from nait.runs.processes.launch import without_launcher

Step = tuple[str, str, int | None]
"""The name of a recipe, the folder of its training, and the update at which it is stopped; None trains to the end."""


def take_steps(
    recipes: Mapping[str, Any], steps: Sequence[Step], model: Any, rows: TokenTable, folder: Path, workers: Workers,
    stops: Callable[[Any], Any],
) -> None:  # fmt: skip
    """This process's share of each training. `folder`: this process's, beside the folder `rank-0` of the first."""
    for name, place, stop in steps:
        recipe, path = recipes[name], folder / place
        path.mkdir(parents=True, exist_ok=True)
        with process_group.sharing(workers), without_launcher():
            resumed = recipe.resumes(folder.parent / "rank-0" / place)
            process_group.gather(0)  # rank 0 saves nothing before the other process has looked
            stopped = False
            try:
                if workers.rank == 0:
                    recipe.train(model, rows, path, seed=0, tracker=stops(stop))
                else:
                    recipe.assist(model, rows, resumed=resumed, seed=0)
            except NaitError:
                if stop is None:
                    raise
                stopped = True
            assert stopped == (stop is not None)
