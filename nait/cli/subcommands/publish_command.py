"""`nait publish`, a run's results as a folder with a card, and `nait submit`, a method's row of a leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

import typer

from nait.core.errors import ConfigError
from nait.core.inputs.visible_text import visible

COMMANDS = "nait.commands"
"""The entry points of commands that a wing does: the command line imports no wing."""


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
        from nait.cli.help import option_settings
        from nait.publishing.published_runs import publish as published

        print(visible(str(published(run, out, store=store, upload=upload, presets=option_settings))))

    return work


def submit(
    runs: list[str] | None = typer.Argument(
        None,
        metavar="[RUN|SWEEP]...",
        help="Folders of runs or sweeps. Without one, only the table is written.",
    ),
    store: str | None = typer.Option(
        None, "--store", metavar="FOLDER", help="The runs' store; by default the one that run.json names."
    ),
    out: str = typer.Option(
        "community/leaderboard", "--out", metavar="FOLDER", help="The leaderboard's folder."
    ),
) -> Callable[[], None]:
    """Check that a method's runs are whole, and write its row and the table of all rows. Uploads nothing.

    Whole: at least three seeds, the same ones for the method and for random, every benchmark with all its items, and
    every file equal to its checksum.
    """

    def work() -> None:
        print(visible(str(_command("submit")(runs or [], store=store, out=out))))

    return work


def _command(name: str) -> Callable[..., str]:
    """The function behind a wing's command. Raises: ConfigError where the installed package lacks it."""
    found = entry_points(group=COMMANDS, name=name)
    if not found:
        fix = "Install it again, in a checkout with pip install -e ."
        raise ConfigError(f"the installed package has no command {name}", where="nait", fix=fix)
    loaded: Callable[..., str] = next(iter(found)).load()
    return loaded
