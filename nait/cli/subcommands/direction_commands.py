"""`nait directions`: list, show, compare, export and import the directions of a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import typer

from nait.core.inputs.visible_text import visible

directions = typer.Typer(name="directions", help="List, show, compare, export and import directions.")
ADDRESS = "The first characters of an address, or a folder."
STORE = typer.Option("store", "--store", metavar="FOLDER", help="The store's folder.")


@directions.command("ls")
def list_all(store: str = STORE) -> Callable[[], None]:
    """List all directions in a store."""
    return _work("list", [], store)


@directions.command("show")
def show_one(
    name: str = typer.Argument(metavar="ADDRESS", help=ADDRESS), store: str = STORE
) -> Callable[[], None]:
    """Show explained variance and sign margin per layer."""
    return _work("show", [name], store)


@directions.command("compare")
def compare_two(
    one: str = typer.Argument(metavar="ADDRESS", help=ADDRESS),
    other: str = typer.Argument(metavar="ADDRESS", help=ADDRESS),
    store: str = STORE,
) -> Callable[[], None]:
    """Show the cosine between two targets' directions per layer."""
    return _work("compare", [one, other], store)


@directions.command("export")
def export_one(
    name: str = typer.Argument(metavar="ADDRESS", help=ADDRESS),
    folder: str = typer.Argument(metavar="FOLDER", help="A new folder."),
    store: str = STORE,
) -> Callable[[], None]:
    """Copy directions into a folder for others: `nait select POOL --like FOLDER` selects by them."""
    return _work("publish", [name, folder], store)


@directions.command("import")
def import_one(
    folder: str = typer.Argument(metavar="FOLDER", help="A folder of exported directions."),
    store: str = STORE,
) -> Callable[[], None]:
    """Copy exported directions into a store, where their address finds them."""

    def work() -> None:
        from nait.neurons.stored_directions import adopt_directions
        from nait.store import Store

        print(f"Imported: {adopt_directions(Store(store), folder).address}")

    return work


def _work(command: str, names: Sequence[str], store: str) -> Callable[[], None]:
    def work() -> None:
        from nait.neurons.__main__ import output
        from nait.store import Store

        print(visible(output(command, list(names), Store(store, read_only=True))))

    return work
