"""`nait submit`: a method's runs, checked to be whole, as a row of a leaderboard that others can add to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nait.core.errors import ConfigError, NaitError
from nait.core.inputs.paths import at_home
from nait.core.inputs.shapes import fault, keyed, optional, record, text
from nait.core.statistics.power import FEWEST
from nait.store import Store, read_json
from nait.store.upkeep.run_chain import chain_of
from nait.sweeps.grouping.boards import Board, PlacedRun, boards
from nait.sweeps.reports.leaderboard import measured
from nait.sweeps.reports.submitted_rows import row_of, write_row, write_table
from nait.sweeps.stored_runs.method_names import BASE, CONTROL, FULL
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.stored_runs.stores import Stores

RUN = "run.json"
REFERENCES = (CONTROL, BASE, FULL)
"""Methods that others are compared with, and that have no entries of their own."""
RECORD = record(
    {"status": text, "links": keyed(optional(text)), "config": record({"paths": record({"store": text})})}
)


@dataclass(frozen=True)
class SubmittedMethod:
    """A method's runs, and the runs of random in the same table with the same budget."""

    name: str
    runs: tuple[PlacedRun, ...]
    control: tuple[PlacedRun, ...]

    @property
    def every(self) -> tuple[PlacedRun, ...]:
        return (*self.runs, *self.control)


def submit(folders: Sequence[str], *, store: str | None, out: str) -> str:
    """Write one row for each method of these runs, and the table of all rows, into `out`. Returns the text to print.

    - `folders`: folders of runs or of sweeps. The other seeds and random's runs are taken from their stores.
    - `store`: the runs' store; None: the one that each `run.json` names.

    Without a folder, only the table is written. Nothing is uploaded.

    Raises: NaitError for a run that is not whole, which names all that is missing; nothing is written then.
    """
    target = at_home(out)
    if not folders:
        return f"Table: {write_table(target)}"
    records = [one for folder in folders for one in recorded(at_home(folder))]
    roots = dict.fromkeys(at_home(store or one["config"]["paths"]["store"]) for _, one in records)
    for root in roots:
        if not root.is_dir():
            fix = "Go to the folder of the run's command, or add --store FOLDER."
            raise ConfigError("there is no such store", where=str(root), fix=fix)
    faults = [fault for path, one in records for fault in _unfinished(path, one)]
    stores = Stores([Store(root, read_only=True) for root in roots])
    found = entries(boards(RunSet.load(stores)), [one for _, one in records])
    if not found and not faults:
        faults = [f"no run of a method: {', '.join(REFERENCES)} are what methods are compared with"]
    faults += [fault for entry in found for fault in missing(entry)]
    faults += _damage(roots, found)
    if faults:
        raise NaitError(
            "this is not whole, and no row is written:\n- " + "\n- ".join(dict.fromkeys(faults)) + "\n",
            where=", ".join(folders),
            fix="Run what is missing with the same other keys, then submit again.",
        )
    rows = [_row(stores, entry) for entry in found]
    paths = [write_row(target, row) for row in rows]
    return "\n".join([*(f"Row: {path}" for path in paths), f"Table: {write_table(target)}"])


def recorded(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The folders and records of a run, or of all runs of a sweep. Raises: ConfigError for another folder."""
    files = [folder / RUN] if (folder / RUN).is_file() else sorted(folder.glob(f"*/{RUN}"))
    if not files:
        fix = f"Give a run's folder, which has {RUN}, or a sweep's."
        raise ConfigError("holds no run", where=str(folder), fix=fix)
    found = []
    for file in files:
        record = read_json(file)
        if wrong := fault(record, RECORD):
            raise ConfigError(
                f"is not the record of a run ({wrong})", where=str(file), fix="Run the job again."
            )
        found.append((file.parent, record))
    return found


def _unfinished(folder: Path, record: dict[str, Any]) -> list[str]:
    if record["status"] != "done":
        return [f"{folder}: the run is '{record['status']}', not done"]
    if not record["links"].get("evaluation"):
        return [f"{folder}: the run is not evaluated; its stages have to include train and evaluate"]
    return []


def entries(found: Iterable[Board], records: Sequence[dict[str, Any]]) -> list[SubmittedMethod]:
    """The methods that these records belong to, each with its runs of all seeds and with random's."""
    wanted = {_results(record["links"]) for record in records if record["links"].get("evaluation")}
    made = []
    for board in found:
        lines: dict[tuple[object, ...], list[PlacedRun]] = {}
        for run in board.runs:
            if run.method not in REFERENCES:
                lines.setdefault(run.line, []).append(run)
        for runs in lines.values():
            if any(_results(run.record.manifest["links"]) in wanted for run in runs):
                made.append(SubmittedMethod(runs[0].name, _once(runs), _control(board, runs[0])))
    return made


def _results(links: dict[str, Any]) -> tuple[Any, Any]:
    return links.get("selection"), links.get("evaluation")


def _control(board: Board, entry: PlacedRun) -> tuple[PlacedRun, ...]:
    """Random's runs of the budget: those of the target, else of one other, since random rows suit every target."""
    lines: dict[tuple[object, ...], list[PlacedRun]] = {}
    for run in board.runs:
        if run.method == CONTROL and run.budget == entry.budget:
            lines.setdefault(run.line, []).append(run)

    def suits(runs: Sequence[PlacedRun]) -> tuple[bool, int]:
        return runs[0].labels["target"] == entry.labels["target"], len(_seeds(runs))

    if not lines:
        return ()
    best = max(lines.values(), key=suits)
    return _once(best)


def _once(runs: Iterable[PlacedRun]) -> tuple[PlacedRun, ...]:
    """The runs by seed, one of each result."""
    found = {(int(run.labels["seed"]), run.result): run for run in runs}
    return tuple(found[key] for key in sorted(found))


def _seeds(runs: Iterable[PlacedRun]) -> set[int]:
    return {int(run.labels["seed"]) for run in runs}


def missing(entry: SubmittedMethod) -> list[str]:
    """What an entry lacks: runs of random, seeds, benchmarks."""
    if not entry.control:
        return [
            f"{entry.name}: no run of {CONTROL} with the same budget, model, pool, recipe and evaluation "
            f"(selector={CONTROL} seed={_listed(range(FEWEST))})"
        ]
    own, others = _seeds(entry.runs), _seeds(entry.control)
    wanted = own | others | (set(range(FEWEST)) if len(own | others) < FEWEST else set())
    faults = []
    for name, runs, seeds in ((entry.name, entry.runs, own), (CONTROL, entry.control, others)):
        if lacking := wanted - seeds:
            faults.append(f"{name}: the runs of seed={_listed(sorted(lacking))} are missing")
        elif len({run.result for run in runs}) < FEWEST:
            faults.append(
                f"{name}: its {len(seeds)} seeds have {len({run.result for run in runs})} different results; "
                f"{FEWEST} are needed"
            )
    return [*faults, *_without_benchmarks(entry)]


def _without_benchmarks(entry: SubmittedMethod) -> list[str]:
    """Evaluations that do not cover their benchmarks. All runs of an entry have one suite."""
    facts = entry.runs[0].identity.evaluation
    parts = {
        key: value
        for key, value in facts.items()
        if value != "null" and (key == "eval.limit" or f"{key}.".startswith("eval.spread."))
    }
    faults = [f"{entry.name}: {key}={value} leaves items out" for key, value in sorted(parts.items())]
    absent = facts.get("eval.missing", "[]")
    return faults if absent in ("[]", "") else [*faults, f"{entry.name}: tasks without a result: {absent}"]


def _damage(roots: Iterable[Path], found: Sequence[SubmittedMethod]) -> list[str]:
    """Artifacts behind the entries that are damaged, gone, or without checksums. Every file is hashed."""
    faults: list[str] = []
    for root in roots:
        runs = [run for entry in found for run in entry.every if _is_in(run, root)]
        links: dict[str, str | None] = {}
        for run in runs:
            made = {"record": run.record.address, **run.record.manifest["links"]}
            links |= {f"{kind} of {run.name}, seed {run.labels['seed']}": made[kind] for kind in made}
        chain = chain_of(root, links)
        faults += chain.faults
        faults += [
            f"{one.path}: has no checksums; an earlier version made it"
            for one in chain.artifacts
            if "files" not in one.manifest
        ]
    return faults


def _is_in(run: PlacedRun, root: Path) -> bool:
    return run.record.path.resolve().parents[1] == root.resolve()


def _row(stores: Stores, entry: SubmittedMethod) -> dict[str, Any]:
    """The row of an entry, from a leaderboard of its runs alone: no other line of its sweep changes the numbers."""
    runs = RunSet.load(stores, [run.record.address for run in entry.every])
    (table,) = measured(runs)
    return row_of(table, entry.runs, entry.control)


def _listed(values: Iterable[int]) -> str:
    return ",".join(map(str, values))
