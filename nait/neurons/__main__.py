"""`python -m nait.neurons list | show | compare | publish`: inspect and export the directions in a store.

list                      list all directions
show ADDRESS              explained variance and sign margin per layer
compare ADDRESS ADDRESS   cosine between two targets' directions per layer
publish ADDRESS FOLDER    copy directions for others; use them with target=directions 'target.paths={name: FOLDER}'
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from nait.core.errors import DataError, NaitError
from nait.core.inputs.paths import write_error
from nait.core.inputs.visible_text import visible
from nait.neurons.directions import cosines
from nait.neurons.stored_directions import list_directions, open_directions, publish, resolve
from nait.signals.specs.activations import site_name
from nait.store import Store


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(
        prog="python -m nait.neurons",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["list", "show", "compare", "publish"])
    parser.add_argument(
        "names", nargs="*", metavar="ADDRESS", help="the first characters of an address, or a folder"
    )
    parser.add_argument("--store", default="store", help="the store's folder (default: store)")
    arguments = parser.parse_args()
    needed = {"list": 0, "show": 1, "compare": 2, "publish": 2}[arguments.command]
    if len(arguments.names) != needed:
        parser.error(f"{arguments.command} takes {needed} name(s)")
    try:
        print(visible(output(arguments.command, arguments.names, Store(arguments.store, read_only=True))))
    except (NaitError, OSError) as error:
        refused = write_error(error, fix="Give another FOLDER.") if isinstance(error, OSError) else error
        if refused is None:
            raise
        print(f"nait: {refused}", file=sys.stderr)
        sys.exit(2)


def output(command: str, names: list[str], store: Store) -> str:
    """The text to print for one command: list, show, compare or publish. Raises: DataError."""
    if command == "list":
        if not store.root.is_dir():
            raise DataError("there is no such store", where=str(store.root), fix="Give --store FOLDER.")
        return str(tabulate(list_directions(store), headers="keys")) or "The store holds no directions."
    if command == "publish":
        return f"Written: {publish(resolve(store, names[0]), names[1])}"
    opened = [open_directions(resolve(store, name)) for name in names]
    first = int(opened[0][0]["first_layer"])
    if command == "compare":
        _check_comparable(*(manifest for manifest, _ in opened))
        values = cosines(opened[0][1], opened[1][1])
        return str(
            tabulate([[first + i, f"{v:+z.4f}"] for i, v in enumerate(values)], headers=["layer", "cosine"])
        )
    manifest, found = opened[0]
    rows = [
        [first + i, *(f"{share:.4f}" for share in found.explained_variance[i]), f"{margin:.4f}"]
        for i, margin in enumerate(found.sign_margin)
    ]
    shares = [f"share {c + 1}" for c in range(found.explained_variance.shape[1])]
    title = f"{manifest['target']}: {manifest['rows']} rows, {manifest['key']['kind']}, {manifest['key']['reading']}"
    return f"{title}\n{tabulate(rows, headers=['layer', *shares, 'sign margin'])}"


def _check_comparable(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    """Raises: DataError for directions of different models or sites."""
    spaces = [{"model": m["model"], "site": site_name(m["key"]["reading"])} for m in (a, b)]
    for name in ("model", "site"):
        if spaces[0][name] != spaces[1][name]:
            raise DataError(
                f"one has {name}={spaces[0][name]}, the other {name}={spaces[1][name]}",
                where=f"{a['target']} and {b['target']}",
                fix="Compare directions of the same model and site.",
            )


if __name__ == "__main__":
    main()
