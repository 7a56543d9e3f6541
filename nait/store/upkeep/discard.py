"""Remove one artifact from a store: `python -m nait.store.upkeep.discard FOLDER [--yes]`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from nait.core.addresses import address
from nait.core.errors import NaitError, StoreError
from nait.core.inputs.paths import at_home
from nait.store.files.damaged import MANIFEST, is_place
from nait.store.files.locks import locked


def main(arguments: Sequence[str] | None = None) -> int:
    """Show what would be removed; with `--yes`, remove it. Exit code 2: the folder is not an artifact."""
    parser = argparse.ArgumentParser(prog="python -m nait.store.upkeep.discard", description=__doc__)
    parser.add_argument("folder", help="the artifact's folder: STORE/KIND/ADDRESS")
    parser.add_argument("--yes", action="store_true", help="remove it; without this flag nothing is removed")
    given = parser.parse_args(arguments)
    try:
        folder = artifact_folder(Path(given.folder))
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        what = f"{folder} ({folder.parent.name}, {size:,} bytes)"
        if given.yes:
            discard(folder)
    except NaitError as error:
        sys.stderr.write(f"nait: {error}\n")
        return 2
    sys.stdout.write(f"Removed {what}.\n" if given.yes else f"Would remove {what}. Add --yes to do it.\n")
    return 0


def artifact_folder(given: Path) -> Path:
    """The absolute path of a folder that is one complete artifact of a store.

    Its manifest must have this kind and address. Raises: StoreError for any other folder.
    """
    folder = at_home(given).absolute()
    if folder.is_symlink() or not folder.is_dir() or not is_place(folder):
        raise _refused(folder, "is not an artifact's folder, STORE/KIND/ADDRESS")
    if not (folder / MANIFEST).is_file():
        raise _refused(folder, f"has no {MANIFEST}")
    try:
        about = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        about = None
    if not isinstance(about, dict):
        raise _refused(folder, f"has a {MANIFEST} that is not a store's")
    if (about.get("kind"), about.get("address")) != (folder.parent.name, folder.name) or (
        address(about.get("key")) != folder.name
    ):
        raise _refused(folder, f"has the {MANIFEST} of another artifact")
    return folder


def discard(folder: Path) -> None:
    """Remove an artifact under its lock. The manifest is removed first, so a partial removal leaves no artifact.

    Raises: StoreError when it cannot be removed.
    """
    try:
        with locked(folder.with_name(folder.name + ".lock")):
            (folder / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(folder)
    except OSError as error:
        raise StoreError(
            f"cannot be removed ({error})", where=str(folder), fix="Check the folder's permissions."
        ) from error


def _refused(folder: Path, what: str) -> StoreError:
    return StoreError(
        what, where=str(folder), fix="Give the folder that the message named; nothing was removed."
    )


if __name__ == "__main__":
    sys.exit(main())
