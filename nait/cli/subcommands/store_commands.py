"""`nait store ...`: commands on a store's artifacts."""

from __future__ import annotations

from collections.abc import Callable

import typer

Work = Callable[[], None]

store_app = typer.Typer(help="Copy, check and clear the artifacts of a store.")
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
