"""`nait publish`: a run's results as a folder with a card, for others or for the Hub."""

from __future__ import annotations

from collections.abc import Callable

import typer

from nait.core.inputs.visible_text import visible


def publish(
    run: str = typer.Argument(metavar="RUN", help="A run's folder, with run.json."),
    out: str = typer.Argument(metavar="OUT", help="The new folder."),
    store: str | None = typer.Option(
        None, "--store", metavar="FOLDER", help="The run's store; by default the one that run.json names."
    ),
    upload: str | None = typer.Option(
        None, "--upload", metavar="OWNER/NAME", help="Also upload the folder to this Hub repository, made private."
    ),
) -> Callable[[], None]:  # fmt: skip
    """Copy a run's scores, ids, directions, adapter and results into a folder with a card."""

    def work() -> None:
        from nait.publishing.published_runs import publish as published

        print(visible(str(published(run, out, store=store, upload=upload))))

    return work
