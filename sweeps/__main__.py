"""`nait-leaderboard STORE [STORE ...] [--report] [--out DIR]`: one leaderboard of everything some stores hold."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nait.core.errors import NaitError
from nait.store import Store

from .contrasts import CONTROL
from .leaderboard import Leaderboard
from .report import Report
from .stores import Stores


def main() -> None:
    """Prints one leaderboard of all the stores together, and writes it under --out."""
    parser = argparse.ArgumentParser(prog="nait-leaderboard", description=__doc__)
    parser.add_argument(
        "stores", nargs="+", type=Path, metavar="STORE", help="a store's folder (paths.store)"
    )
    parser.add_argument(
        "--out", type=Path, help="where the files go (default: leaderboard/ in the first STORE)"
    )
    parser.add_argument("--all", action="store_true", help="print a group's subtasks too")
    parser.add_argument(
        "--report", action="store_true", help="write report.html, pictures and tables.tex too"
    )
    parser.add_argument(
        "--against",
        default=CONTROL,
        metavar="NAME",
        help="the row the others are held against (default: random)",
    )
    arguments = parser.parse_args()
    headlines = not arguments.all
    try:
        for path in arguments.stores:
            if not path.is_dir():
                raise NaitError(
                    "there is no such store", where=str(path), mend="Give the folder of paths.store."
                )
        folder = arguments.out or arguments.stores[0] / "leaderboard"
        folder.mkdir(parents=True, exist_ok=True)
        reporter = (Report if arguments.report else Leaderboard)(headlines, arguments.against)
        print(reporter.report(Stores([Store(path) for path in arguments.stores]), None, folder))
    except NaitError as error:
        print(f"nait-leaderboard: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
