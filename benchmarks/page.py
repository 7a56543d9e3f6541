"""The page RESULTS.md: missed goals first, then a table for each machine, then all further numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabulate import tabulate

COLUMNS = ("name", "setting", "seconds", "measured", "goal", "met", "date", "commit")
SHOWN_ELSEWHERE = {*COLUMNS, "ratio", "unit", "goals", "machine", "versions", "options", "error"}
REASONS = {
    "evaluation": (
        "GSM8K's prompts share no prefix, so only padding and the rows that have ended are saved, and a random "
        "model ends no row early: in its newest row on the AMD processor it is at its floor, with the LM head at "
        "each generated token. Rows of before 2026-11-30, and all rows of the Intel one, have a floor without the "
        "head, which takes 14 % of GSM8K's seconds with random:25m and its vocabulary of 32,000. MMLU with 25 M "
        "weights was 5.7 and 4.9 times the harness within three hours. The row with --new 256 is older than the "
        "split of the questions behind a prefix by length: before, a batch of unlike questions was half padding. "
        "MMLU's newer row with 100 M weights is the one with --suites mmlu."
    ),
    "scoring": (
        "Hooks weigh more in smaller models; the goals are for random:100m. The published implementation over the "
        "floor is its ratio times ours: if that is also below the goal, padding and the LM head cost less on this "
        "processor than the goal assumes."
    ),
    "prefixes": (
        "A quarter of the tokens is served from the prefix cache; the time saved depends on the padded widths of "
        "small batches and on the machine's drift (0.81 to 0.95 in six runs)."
    ),
    "losses": "The passes take seconds, and the goal is within this machine's drift between two runs.",
    "memory": (
        "A pass keeps only the rows' texts, 0.9 kB each. No array outlives its batch; free heap pages are returned "
        "to the system twice a second, and the pages read from the token table after each batch."
    ),
    "packing": (
        "Without flash attention, packed rows need a mask of all tokens by all tokens. engine.packing=auto packs "
        "only with flash attention."
    ),
    "training": (
        "The rows of an update have different lengths: its micro-batches have 4 % padding and are smaller than the "
        "floor's. Half of Alpaca's tokens are answer, so the LM head saves less than with short answers. A larger "
        "model spends a smaller share on the head, which the plain Trainer runs at every position. At its floor a "
        "training would be `measured` times `plain_ratio` faster than the plain Trainer: with 100 M weights 2.6 to "
        "3.5 in three measurements on AMD processors, so the goal of 3.5 is its limit, and 4.1 on the Intel one. "
        "Tried and not kept: a LoRA layer as one function of autograd (0.89 of the time with the embedded model, "
        "1.06 with 25 M weights, 0.99 with 100 M)."
    ),
    "processes": (
        "The imports of the trainer and of the harness, about 5 of 76 s, are not divided. The micro-batches of an "
        "update of 16 rows rarely divide evenly: simulated, two processes are busy 94 % of the time."
    ),
    "quickstart": (
        "The processor decides: `startup` took 0.37 s where the goals were set, and 0.65 s where 108 s were "
        "measured. Of 172 s of processor time with one thread, 29 s are the start and the one pass for all methods, "
        "and each of the twelve trainings with its evaluation has 12 s."
    ),
    "sweep": (
        "Each of the two workers imports PyTorch, the trainer and the harness anew (7 s until a job scores), both "
        "wait for the artifacts that all jobs share, and the table at the end is made once, so that four jobs of "
        "12 s show less than a sweep's speedup: with sixteen, the goal of 1.7 is met. `methods` trains on all 5,000 "
        "rows three times (`full`), ten times the work of another job, and LESS trains a warm-up for each seed."
    ),
    "plan": "The rehearsal takes a second or two of a ten-second job, on a machine whose speed varies by the second.",
    "workers": "The processes take seconds, and two of them share two cores with any other load.",
}
"""Explanations of missed goals, from profiles."""
NO_GPU = (
    "Not measured yet: `results.json` has no line from a GPU. On a machine with a GPU, `make bench` also measures "
    "`scoring`, `gradients` (LoRA of rank 128) and `memory` with random:7b in bfloat16. `python -m benchmarks "
    "packing --device cuda --dtype bfloat16 --attention flash_attention_2` measures packed batches."
)

Line = Mapping[str, Any]


def document(lines: Sequence[Line]) -> str:
    """The page in Markdown."""
    machines = list(dict.fromkeys(line["machine"] for line in lines))
    missed = [line for line in lines if not line["met"]]
    fallen = "\n".join(_fallen(name, missed) for name in dict.fromkeys(line["name"] for line in missed))
    gpus = [machine for machine in machines if any(_on_gpu(line, machine) for line in lines)]
    tables = [_machine(machine, lines) for machine in machines if machine not in gpus]
    on_gpu = "\n\n".join(_machine(machine, lines, level=3) for machine in gpus) or f"{table([])}\n\n{NO_GPU}"
    more = "\n".join(f"- {_title(line)}: `{json.dumps(_more(line))}`" for line in lines)
    return "\n\n".join(
        [
            "# Measured speed",
            "`measured` is a ratio, or seconds if the goal is in seconds. README.md describes each benchmark.",
            f"## Missed goals\n\n{fallen or 'None.'}", *tables, f"## On a GPU\n\n{on_gpu}",
            f"## Further numbers\n\n{more}\n",
        ]
    )  # fmt: skip


def table(lines: Sequence[Line]) -> str:
    """A Markdown table with a row for each goal of these lines."""
    return str(tabulate([row for line in lines for row in _rows(line)], headers=COLUMNS, tablefmt="github"))


def _machine(machine: str, lines: Sequence[Line], *, level: int = 2) -> str:
    here = [line for line in lines if line["machine"] == machine]
    versions = "; ".join(dict.fromkeys(line["versions"] for line in here))
    return f"{'#' * level} {machine}\n\n{versions}.\n\n{table(here)}"


def _rows(line: Line) -> Iterator[list[Any]]:
    """The cells of a line's main goal, then of its further goals."""
    own = {**line, "measured": _measured(line), "goal": _goal(line), "met": _yes(_own_met(line))}
    yield [own.get(column) for column in COLUMNS]
    for goal in line.get("goals", ()):
        cells = {"name": f"{line['name']} {goal['name']}", "measured": goal["measured"], "goal": _bound(goal)}
        yield [{**cells, "met": _yes(goal["met"])}.get(column) for column in COLUMNS]


def _measured(line: Line) -> Any:
    return line["ratio"] if line.get("ratio") is not None else line.get("seconds")


def _own_met(line: Line) -> bool:
    """Whether a line's main goal is met, regardless of its further goals."""
    return "error" not in line and bool(_measured(line) <= line["goal"])


def _goal(line: Line) -> str:
    if "error" in line:
        return ""
    return f"≤ {round(line['goal'], 3)}{' s' if line['unit'] == 's' else ''}"


def _bound(goal: Line) -> str:
    sign, value = ("≤", goal["at_most"]) if "at_most" in goal else ("≥", goal["at_least"])
    return f"{sign} {round(value, 3)}"


def _yes(met: bool) -> str:
    return "yes" if met else "no"


def _on_gpu(line: Line, machine: str) -> bool:
    return line["machine"] == machine and "cuda" in line["options"]


def _title(line: Line) -> str:
    return " ".join([f"`{line['name']}`", *line["options"]])


def _fallen(name: str, missed: Sequence[Line]) -> str:
    """A list item for each of the benchmark's lines with missed goals, and their explanation."""
    own = [line for line in missed if line["name"] == name]
    reason = [f"  Why: {REASONS[name]}"] if name in REASONS else []
    return "\n".join([*map(_missed_goals, own), *reason])


def _missed_goals(line: Line) -> str:
    """A list item with the line's missed goals."""
    if "error" in line:
        return f"- {_title(line)} failed: {line['error']} ({line['machine']})"
    missed = [] if _own_met(line) else [f"{_measured(line)}, goal {_goal(line)}"]
    missed += [
        f"{goal['name']} {goal['measured']}, goal {_bound(goal)}"
        for goal in line.get("goals", ())
        if not goal["met"]
    ]
    return f"- {_title(line)}: {'; '.join(missed)} ({line['machine']})"


def _more(line: Line) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in SHOWN_ELSEWHERE}
