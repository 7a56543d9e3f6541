"""The page: what falls short first, a table for each machine, then every number of every line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

COLUMNS = ("name", "setting", "seconds", "ratio", "goal", "met", "date", "commit")
BESIDE = {*COLUMNS, "unit", "machine", "versions", "options", "error"}
REASONS = {
    "scoring": (
        "The smaller a model, the more a hook weighs; the goals are those of random:100m. The published way over "
        "the floor is its ratio times ours: where that, too, is below the goal, padding and the LM head cost this "
        "processor less than the goal supposes."
    ),
    "prefixes": (
        "A quarter of the tokens is not read again; what the seconds follow of it depends on the widths that small "
        "batches pad to, and on the machine's drift (0.81 to 0.95 in six runs)."
    ),
    "losses": "The passes are of seconds, and the goal is within what this machine drifts between two runs.",
    "memory": (
        "What a pass keeps grows with the rows by their own texts alone, 0.9 kB each; free pages of the heap go back "
        "to the system once a second, and what was read of the token table after each batch."
    ),
    "packing": (
        "Attention that is not of the flash kind builds a mask of all tokens by all tokens for packed rows. "
        "engine.packing=auto packs where it is of that kind, and nowhere else."
    ),
    "workers": "The processes are of seconds, and two of them share two cores with whatever else runs.",
}
"""Why a goal is missed where it is, as profiles show it."""
NO_GPU = (
    "Not measured yet: no line of `results.json` is of a GPU. Where there is one, `make bench` measures `scoring`, "
    "`gradients` (LoRA of rank 128) and `memory` of random:7b in bfloat16 too, and `python -m benchmarks packing "
    "--device cuda --dtype bfloat16 --attention flash_attention_2` what packed batches bring."
)

Line = Mapping[str, Any]


def document(lines: Sequence[Line]) -> str:
    """The page of these lines."""
    short = [line for line in lines if not line["met"]]
    fallen = "\n".join(f"- {_title(line)}: {_found(line)}{_reason(line)}" for line in short)
    machines = list(dict.fromkeys(line["machine"] for line in lines))
    gpus = [machine for machine in machines if any(_on_gpu(line, machine) for line in lines)]
    tables = [_table(machine, lines) for machine in machines if machine not in gpus]
    on_gpu = "\n\n".join(_table(machine, lines, level=3) for machine in gpus) or f"{_head([])}\n\n{NO_GPU}"
    more = "\n".join(f"- {_title(line)}: `{json.dumps(_more(line))}`" for line in lines)
    return "\n\n".join(
        [
            "# Results",
            "A ratio is bounded by its goal from above; where there is none, the seconds are. README.md says what is "
            "measured, and how to repeat it.",
            f"## Goals that fall short\n\n{fallen or 'None.'}", *tables, f"## On a GPU\n\n{on_gpu}",
            f"## Further numbers\n\n{more}\n",
        ]
    )  # fmt: skip


def _table(machine: str, lines: Sequence[Line], *, level: int = 2) -> str:
    here = [line for line in lines if line["machine"] == machine]
    versions = "; ".join(dict.fromkeys(line["versions"] for line in here))
    return f"{'#' * level} {machine}\n\n{versions}.\n\n{_head(here)}"


def _head(lines: Sequence[Line]) -> str:
    cells = [[_cell(line, column) for column in COLUMNS] for line in lines]
    return str(tabulate(cells, headers=COLUMNS, tablefmt="github"))


def _on_gpu(line: Line, machine: str) -> bool:
    return line["machine"] == machine and "cuda" in line["options"]


def _title(line: Line) -> str:
    return " ".join([f"`{line['name']}`", *line["options"]])


def _found(line: Line) -> str:
    if "error" in line:
        return f"it failed: {line['error']}"
    measured = f"{line['seconds']} s" if line["ratio"] is None else f"ratio {line['ratio']}"
    return f"{measured}, goal {_cell(line, 'goal')}; {json.dumps(_more(line))}"


def _reason(line: Line) -> str:
    reason = REASONS.get(line["name"]) if "error" not in line else None
    return f"\n  Why: {reason}" if reason else ""


def _cell(line: Line, column: str) -> Any:
    if column == "goal" and line.get("unit") == "s":
        return f"{line['goal']} s"
    if column == "met":
        return "yes" if line["met"] else "no"
    return line.get(column)


def _more(line: Line) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in BESIDE}
