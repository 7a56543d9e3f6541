"""`nait-leaderboard STORE [STORE ...] [--out DIR]`: one leaderboard of everything some stores hold."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nait.core.errors import NaitError
from nait.store import Store

from .leaderboard import Leaderboard


def main() -> None:
    """Prints the leaderboard of each store, and writes it beside or under --out."""
    parser = argparse.ArgumentParser(prog="nait-leaderboard", description=__doc__)
    parser.add_argument(
        "stores", nargs="+", type=Path, metavar="STORE", help="a store's folder (paths.store)"
    )
    parser.add_argument("--out", type=Path, help="where the files go (default: STORE/leaderboard)")
    parser.add_argument("--all", action="store_true", help="print a group's subtasks too")
    arguments = parser.parse_args()
    try:
        for path in arguments.stores:
            if not path.is_dir():
                raise NaitError(
                    "there is no such store", where=str(path), mend="Give the folder of paths.store."
                )
            folder = arguments.out or path / "leaderboard"
            folder.mkdir(parents=True, exist_ok=True)
            print(Leaderboard(headlines_only=not arguments.all).report(Store(path), None, folder))
    except NaitError as error:
        print(f"nait-leaderboard: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
