"""`nait store ...`: commands on a store's artifacts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from nait.core.errors import StoreError

Work = Callable[[], None]

store_app = typer.Typer(help="List, copy, check and clear the artifacts of a store.")
STORE = typer.Option("store", "--store", metavar="FOLDER", help="The store.")
KINDS = typer.Option(
    None, "--kind", metavar="KIND", help="Only this kind, such as runs; may be given several times."
)


@store_app.callback(invoke_without_command=True)
def root(context: typer.Context) -> Work | None:
    text = context.get_help()
    return None if context.invoked_subcommand else lambda: print(text)


@store_app.command()
def push(
    url: str = typer.Argument(
        metavar="URL", help="Such as s3://bucket/store, gs://bucket/store, or a folder."
    ),
    store: str = STORE,
    kind: list[str] | None = KINDS,
) -> Work:
    """Copy the complete artifacts of a store to URL. What is there already is not copied again."""

    def work() -> None:
        from nait.store import Store
        from nait.store.upkeep.push_pull import push as copied

        print(copied(Store(store), url, kinds=kind or ()))

    return work


@store_app.command()
def pull(
    url: str = typer.Argument(metavar="URL", help="Where `nait store push` has copied artifacts."),
    store: str = STORE,
    kind: list[str] | None = KINDS,
) -> Work:
    """Copy the artifacts at URL into a store. Every file is compared with its checksum."""

    def work() -> None:
        from nait.store import Store
        from nait.store.upkeep.push_pull import pull as copied

        print(copied(Store(store), url, kinds=kind or ()))

    return work


@store_app.command("ls")
def list_kinds(store: str = STORE) -> Work:
    """List the kinds of artifacts with their number and size."""
    return lambda: print(kinds_of(Path(store).expanduser()))


def kinds_of(folder: Path) -> str:
    """One line per kind of artifact: how many are complete, and their bytes. Raises: StoreError without a store."""
    if not folder.is_dir():
        raise StoreError("there is no such store", where=str(folder), fix="Give the folder of paths.store.")
    rows = []
    for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
        complete = [path.parent for path in kind.glob("*/manifest.json") if path.parent.suffix != ".part"]
        size = sum(file.stat().st_size for one in complete for file in one.rglob("*") if file.is_file())
        rows.append(f"{kind.name:<16}{len(complete):>8,}  {size / 1e6:>12,.1f} MB")
    return "\n".join(rows) or "The store is empty."
