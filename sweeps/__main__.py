"""`nait-leaderboard [STORE ...] [--report | --costs]`: one leaderboard of all runs in the given stores.

Stores are only read: they may come from elsewhere. The files are written to --out.
Only two options use the network: `--wandb` downloads the run records of a W&B project into one more store,
`--workspace` saves a W&B view.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nait.core.errors import NaitError, show_bug
from nait.core.inputs.paths import write_error
from nait.core.inputs.secrets import masked
from nait.core.inputs.visible_text import visible, visible_line, visible_record
from nait.store import Store
from nait.sweeps.analyses.cost_table import Costs
from nait.sweeps.reports.full_report import Report
from nait.sweeps.reports.leaderboard import Leaderboard
from nait.sweeps.stored_runs.method_names import CONTROL
from nait.sweeps.stored_runs.stores import Stores
from nait.tracking.wandb.pull import pull
from nait.tracking.wandb.workspaces import save_report, save_view

OTHER_FOLDER = "Set another folder: --out FOLDER."


def main() -> None:
    """Print one leaderboard of all stores and write its files to --out."""
    parser = _parser()
    arguments = parser.parse_args()
    sys.excepthook = show_bug
    if not (arguments.stores or arguments.wandb or arguments.workspace):
        parser.error("give a STORE, --wandb or --workspace")
    if arguments.group and not arguments.wandb:
        parser.error("--group needs --wandb")
    try:
        if arguments.workspace:
            print(visible_line(f"Saved view: {save_view(arguments.workspace)}"))
            print(visible_line(f"Saved report: {save_report(arguments.workspace)}"))
        if arguments.stores or arguments.wandb:
            print(visible(_leaderboard(arguments)))
    except Exception as error:
        refused = (
            error
            if isinstance(error, NaitError)
            else write_error(error, fix=OTHER_FOLDER, folder=_folder(arguments))
        )
        if refused is None:
            raise
        print(visible_record(masked(f"nait-leaderboard: {refused}")), file=sys.stderr)
        sys.exit(2)


def _folder(arguments: argparse.Namespace) -> Path | None:
    """The output folder."""
    if arguments.out or arguments.wandb:
        return arguments.out or Path(arguments.wandb)
    return Path("leaderboard") if arguments.stores else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nait-leaderboard", description=__doc__)
    parser.add_argument(
        "stores", nargs="*", type=Path, metavar="STORE", help="a store's folder (paths.store)"
    )
    parser.add_argument("--out", type=Path, help="the output folder (default: leaderboard)")
    parser.add_argument("--all", action="store_true", help="also print the subtasks of task groups")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--report", action="store_true", help="also write report.html, figures and tables.tex")
    form.add_argument(
        "--costs", action="store_true", help="print the cost of each method instead; shared passes count once"
    )
    parser.add_argument(
        "--against",
        default=CONTROL,
        metavar="NAME",
        help="the method that all others are compared with (default: random)",
    )
    online = parser.add_argument_group("Weights & Biases")
    online.add_argument(
        "--wandb",
        metavar="ENTITY/PROJECT",
        help="download the records of a project's finished runs into store/ under --out (default: ENTITY/PROJECT/)",
    )
    online.add_argument("--group", metavar="NAME", help="download only the runs of this group")
    online.add_argument(
        "--workspace",
        metavar="ENTITY/PROJECT",
        help="save a view and a report of the project: tables, benchmarks and curves, grouped by selector",
    )
    return parser


def _leaderboard(arguments: argparse.Namespace) -> str:
    """Write the files and return the text to print. Raises: NaitError."""
    for path in arguments.stores:
        if not path.is_dir():
            raise NaitError("there is no such store", where=str(path), fix="Give the folder of paths.store.")
        if (path / "store" / "runs").is_dir() and not any(path.glob("runs/*/manifest.json")):
            raise NaitError("is not a store, but has one", where=str(path), fix=f"Give {path / 'store'}.")
    stores, folder = [Store(path, read_only=True) for path in arguments.stores], _folder(arguments)
    assert folder is not None
    _check_outside(folder, stores)
    if arguments.wandb:
        stores.append(Store(folder / "store"))
        print(visible(str(pull(arguments.wandb, stores[-1], group=arguments.group))))
    folder.mkdir(parents=True, exist_ok=True)
    board = (Report if arguments.report else Leaderboard)(not arguments.all, arguments.against)
    reporter = Costs() if arguments.costs else board
    return reporter.report(Stores(stores), None, folder)


def _check_outside(folder: Path, stores: Sequence[Store]) -> None:
    """Raises: NaitError for an output folder inside a store, where links of its author could lead elsewhere."""
    inside = [store for store in stores if _is_inside(folder, store.root)]
    if inside:
        raise NaitError(
            f"is inside the store {inside[0].root}, which is only read", where=str(folder), fix=OTHER_FOLDER
        )


def _is_inside(folder: Path, root: Path) -> bool:
    """Whether a path is in a folder, as it is written or with its links resolved."""
    return any(path.is_relative_to(root) for path in (folder.absolute(), folder.resolve()))


if __name__ == "__main__":
    main()
