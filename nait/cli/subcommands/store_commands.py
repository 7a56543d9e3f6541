"""`nait store ...`: commands on a store's artifacts."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nait.core.errors import ConfigError, StoreError
from nait.core.inputs.regular_files import regular_text
from nait.core.inputs.visible_text import visible, visible_line

if TYPE_CHECKING:
    from nait.store.upkeep.push_pull import Transfer

Work = Callable[[], None]

store_app = typer.Typer(help="List, copy, check and clear the artifacts of a store.")
STORE = typer.Option("store", "--store", metavar="FOLDER", help="The store.")
KINDS = typer.Option(
    None, "--kind", metavar="KIND", help="Only this kind, such as runs; may be given several times."
)


@store_app.callback(invoke_without_command=True)
def root(context: typer.Context) -> Work | None:
    text = context.get_help()
    return None if context.invoked_subcommand else lambda: print(visible(text))


@store_app.command()
def push(
    url: str = typer.Argument(
        metavar="URL", help="Such as s3://bucket/store, gs://bucket/store, or a folder."
    ),
    store: str = STORE,
    kind: list[str] | None = KINDS,
) -> Work:
    """Copy the complete artifacts of a store to URL. What is whole there is not copied again.

    Exit code 1: an artifact was refused because it is damaged.
    """

    def work() -> None:
        from nait.store import Store
        from nait.store.upkeep.push_pull import push as copied

        _say(copied(Store(store), url, kinds=kind or ()))

    return work


@store_app.command()
def pull(
    url: str = typer.Argument(metavar="URL", help="Where `nait store push` has copied artifacts."),
    store: str = STORE,
    kind: list[str] | None = KINDS,
) -> Work:
    """Copy the artifacts at URL into a store, which keeps those that it has.

    Every file is compared with its checksum. Exit code 1: an artifact was refused, as a file is missing or differs.
    """

    def work() -> None:
        from nait.store import Store
        from nait.store.upkeep.push_pull import pull as copied

        _say(copied(Store(store), url, kinds=kind or ()))

    return work


def _say(done: Transfer) -> None:
    print(visible(str(done)))
    if done.refused:
        raise SystemExit(1)


@store_app.command("ls")
def list_store(
    store: str = STORE,
    runs: bool = typer.Option(False, "--runs", help="By run: what it needs, and what no other run needs."),
    orphans: bool = typer.Option(False, "--orphans", help="Only artifacts that no recorded run needs."),
) -> Work:
    """List the kinds of artifacts with their number and size; unfinished and damaged ones and locks by themselves."""

    def work() -> None:
        from nait.store.upkeep.store_sizes import by_kind, by_run, orphans_by_kind

        listed = orphans_by_kind if orphans else by_run if runs else by_kind
        print(visible(listed(Path(store).expanduser())))

    return work


@store_app.command("verify")
def verify_store(
    store: Path = STORE,
    deep: bool = typer.Option(False, "--deep", help="Also hash every file."),
) -> Work:
    """Compare manifests and files. Exit code 1: something is damaged. Nothing is changed."""
    return partial(_verify, store, deep=deep)


@store_app.command("gc")
def collect_garbage(
    store: Path = STORE,
    orphans: bool = typer.Option(False, "--orphans", help="Also artifacts that no recorded run needs."),
    yes: bool = typer.Option(False, "--yes", help="Remove it; without this flag nothing is removed."),
) -> Work:
    """Show what may be removed: abandoned and damaged artifacts, stale locks, scratch folders."""
    return partial(_collect, store, orphans=orphans, yes=yes)


def verify(
    run: Path = typer.Argument(metavar="RUN", help="A run's folder, with run.json."),
    whole: bool = typer.Option(False, "--whole", help="Recompute everything from nothing, models included."),
    trust: bool = typer.Option(False, "--trust", help="Also run a recorded command that may run code."),
) -> Work:
    """Check all that a run's result was made of, and compute its scores and its selection again.

    The store stays as it is. Exit code 1: something is damaged or differs. Run it in the folder of the run's command.
    """
    return partial(_verify_run, run, whole=whole, trusted=trust)


def _verify_run(folder: Path, *, whole: bool, trusted: bool) -> None:
    from nait.cli.selection.recorded_code import check_command, check_record, recorded_words
    from nait.core.inputs.paths import at_home
    from nait.store.upkeep.run_chain import COMPUTED, chain_of, recompute

    record = _record(folder)
    check_record(record, folder / "run.json", trusted=trusted)
    words = recorded_words(record["config"], folder / "run.json")
    check_command(words, folder / "run.json", trusted=trusted)
    root = at_home(record["config"]["paths"]["store"])
    if not root.is_dir():
        raise StoreError(
            "there is no such store", where=str(root), fix="Go to the folder of the run's command."
        )
    chain = chain_of(root, record["links"])
    faults, again = [*chain.faults], "not recomputed"
    if not faults:
        run = partial(_run_again, words, stages=None if whole else _stages(record))
        faults = recompute(root, chain, run, kinds=None if whole else COMPUTED)
        again = "all recomputed" if whole else "scores and selection recomputed"
    for line in faults:
        print(visible_line(line))
    print(f"{len(chain.artifacts):,} artifacts, {again}, {len(faults):,} faults.")
    if faults:
        raise SystemExit(1)


def _record(folder: Path) -> dict[str, Any]:
    """The record of a run that has a result. Raises: ConfigError for another folder."""
    try:
        record: dict[str, Any] = json.loads(regular_text(folder / "run.json"))
        if record["links"] and record["config"]["command"] == "":
            fix = "Select by nait select or nait run, whose runs can be verified."
            raise ConfigError(
                "a Python program made it, and no command repeats it", where=str(folder), fix=fix
            )
        if record["links"] and record["config"]["command"] and record["config"]["paths"]["store"]:
            return record
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    from nait.cli.selection.run_folders import run_advice

    raise ConfigError("holds no run.json of a run with a result", where=str(folder), fix=run_advice(folder))


def _run_again(command: Sequence[str], store: Path, *, stages: str | None) -> None:
    """Run the words of a job's command with another store, and its outputs there. Its tracker is local."""
    from nait.cli.subcommands.hydra_jobs import run_jobs

    changed = {"paths.store": str(store), "hydra.run.dir": str(store / "run.part"), "tracking": "files"}
    changed |= {"stages": stages} if stages else {}
    words = [word for word in command if not _changes(word, changed)]
    run_jobs([*words, *(f"{key}={value}" for key, value in changed.items())])


def _stages(record: dict[str, Any]) -> str:
    """The stages that compute the scores and the selection again.

    If rows of the evaluation were excluded, it must be known. With equal scores, its result comes from the store.
    """
    rule = record["config"].get("contamination") or {}
    kept = (
        [one for one in record["config"]["stages"] if one != "report"] if rule.get("exclude") else ["select"]
    )
    return f"[{','.join(kept)}]"


def _changes(word: str, keys: Collection[str]) -> bool:
    """Whether a word of a command line sets one of these keys, or a key below it."""
    key = word.lstrip("+~").partition("=")[0]
    return any(key == one or key.startswith(f"{one}.") for one in keys)


def _verify(folder: Path, *, deep: bool) -> None:
    from nait.store.upkeep.inventory import check_store
    from nait.store.upkeep.verify import verify

    check_store(folder)
    count, unchecked, damaged = verify(folder, deep=deep)
    for line in damaged:
        print(visible_line(str(line)))
    earlier = f", {unchecked:,} of an earlier version without checksums" if unchecked else ""
    print(f"{count:,} artifacts, {len(damaged):,} damaged{earlier}.")
    if damaged:
        raise SystemExit(1)


def _collect(folder: Path, *, orphans: bool, yes: bool) -> None:
    from nait.store.upkeep.gc import garbage, remove
    from nait.store.upkeep.inventory import check_store
    from nait.store.upkeep.store_sizes import loss

    check_store(folder)
    found = garbage(folder, with_orphans=orphans)
    for one in found:
        place = str(one.path).replace("\n", "\\n")
        print(visible(f"{one.state:11} {_size(one.size):>10}  {place}"))
    for line in loss(found):
        print(line)
    total = remove(found) if yes else sum(one.size for one in found)
    print(f"Removed {_size(total)}." if yes else f"Would remove {_size(total)}. Add --yes to do it.")


def _size(count: int) -> str:
    """Bytes in words."""
    size, unit = float(count), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
