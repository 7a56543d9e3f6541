"""Leaderboard tables: recorded runs grouped by model, pool, recipe and evaluation.

Within a table, a run's name is its method plus the settings in which the table's runs of that method differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nait.core.errors import StoreError
from nait.core.ranking.budgets import WHOLE
from nait.store import Artifact
from nait.sweeps.grouping.headings import Heading, headings
from nait.sweeps.grouping.identities import Identity, identity
from nait.sweeps.grouping.names import some, titles
from nait.sweeps.grouping.recorded_facts import SCORES, Facts
from nait.sweeps.grouping.seeds import Seeded, without_run_seeds
from nait.sweeps.stored_runs.method_names import BASE, CONTROL, SHUFFLED, TARGETLESS, is_base, name_of
from nait.sweeps.stored_runs.run_set import RunSet

OF_SCORES = " Without the scores, rho, margin, top layer and their warnings are unknown."
REFERENCES = ("reference", "reference rows", "reference_template")


@dataclass(frozen=True)
class PlacedRun:
    """A recorded run in a table, with the name of its line and the settings that distinguish it."""

    record: Artifact
    method: str
    identity: Identity
    name: str = ""
    selected: str = ""
    """The digest of the selected rows, empty without a stored selection."""
    shown: Mapping[str, str] | None = None

    @property
    def labels(self) -> Mapping[str, str]:
        return {name: str(value) for name, value in self.record.manifest["labels"].items()}

    @property
    def line(self) -> tuple[object, ...]:
        """The key of the run's line."""
        facts = tuple(sorted(self.identity.method.items()))
        return (self.method, self.labels["target"], self.budget, facts)

    @property
    def budget(self) -> str:
        """The budget in effect: empty for the untrained model, `all` where every row is selected."""
        if self.method == BASE:
            return ""
        return WHOLE if self.identity.exhaustive else self.labels["budget"]

    @property
    def budgetless(self) -> bool:
        """Whether the result is the same for every budget."""
        return self.method == BASE or self.identity.exhaustive

    @property
    def targetless(self) -> bool:
        """Whether the scores are the same for every target."""
        return self.method in TARGETLESS or self.identity.targetless

    @property
    def result(self) -> str:
        """The identity of the run's result: its evaluation, else its selected rows."""
        links = self.record.manifest["links"]
        return str(links.get("evaluation") or self.selected or links.get("selection") or self.record.address)


@dataclass(frozen=True)
class Board:
    """The runs of one table, and notes on their names, duplicates and missing facts."""

    number: int
    head: Heading
    runs: tuple[PlacedRun, ...]
    notes: tuple[str, ...] = ()


def boards(runs: RunSet) -> list[Board]:
    """The tables of these runs. An untrained model appears in each table of its model and evaluation.

    Raises: StoreError where the selections of some runs are missing.
    """
    _check_selections(runs)
    placed = _identified(runs)
    groups: dict[tuple[str, ...], list[PlacedRun]] = {}
    for run in placed:
        if run.method != BASE:
            groups.setdefault(run.identity.table, []).append(run)
    for run in placed:
        if run.method == BASE:
            at = run.identity.benchmark
            same = [key for key, group in groups.items() if group[0].identity.benchmark == at]
            for key in same or [run.identity.table]:
                groups.setdefault(key, []).append(run)
    known = headings(list(groups.values()))
    made = [
        _board(head, *_split_duplicates(group)) for head, group in zip(known, groups.values(), strict=True)
    ]
    made.sort(key=lambda board: (not board.head.evaluation, board.head.text))
    return [replace(board, number=number) for number, board in enumerate(made, 1)]


def _check_selections(runs: RunSet) -> None:
    """Raises: StoreError where the store has the selections of some runs and not of others.

    The order and budget of a run are read from its selection. Without it, one method would become several lines.
    """
    linked = [(run, run.manifest["links"].get("selection")) for run in runs.records if not is_base(run)]
    gone = [run for run, link in linked if link and runs.find("selections", link) is None]
    if gone and len(gone) < sum(bool(link) for _, link in linked):
        more = f", and those of {len(gone) - 1} more runs" if len(gone) > 1 else ""
        raise StoreError(f"its selection is gone{more}", where=str(gone[0].path), fix="Run the job again.")


def _identified(runs: RunSet) -> list[PlacedRun]:
    """The runs with their identities, in which seeds that follow the run's seed are masked."""
    found = [
        PlacedRun(record, name_of(record), identity(runs, record), selected=runs.selected_digest(record))
        for record in runs.records
    ]
    seeded = [
        Seeded(
            seed=int(run.record.manifest["labels"]["seed"]),
            identity=run.identity,
            group=(run.method, run.labels["target"], run.budget),
            follows=_follows(run.record),
        )
        for run in found
    ]
    return [replace(run, identity=one) for run, one in zip(found, without_run_seeds(seeded), strict=True)]


def _follows(record: Artifact) -> frozenset[str] | None:
    keys = record.manifest.get("seeded")
    return None if keys is None else frozenset(str(key).removeprefix("selector.") for key in keys)


def _split_duplicates(runs: Sequence[PlacedRun]) -> tuple[list[PlacedRun], list[str]]:
    """The runs and notes on duplicates: different results of one identity and seed become separate lines."""
    results: dict[tuple[object, ...], dict[str, str]] = {}
    for run in runs:
        place = (*run.line, run.labels["seed"])
        results.setdefault(place, {}).setdefault(run.result, run.record.address)
    found, notes = [], []
    for run in runs:
        doubles = results[(*run.line, run.labels["seed"])]
        if len(doubles) > 1:
            mark = {"run": doubles[run.result][:8]}
            run = replace(run, identity=replace(run.identity, method={**run.identity.method, **mark}))
            where = ", ".join(filter(None, (run.method, run.labels["target"], run.budget)))
            notes.append(
                f"{where}: {len(doubles)} runs of seed {run.labels['seed']} have the same settings and different "
                f"results. Each is a separate line and part of no mean: runs "
                f"{', '.join(sorted(one[:8] for one in doubles.values()))}."
            )
        found.append(run)
    return found, list(dict.fromkeys(notes))


def _board(head: Heading, runs: Sequence[PlacedRun], notes: Sequence[str]) -> Board:
    """The table with the names of its lines."""
    shown = differing(runs)
    lines = {(run.method, tuple(one.items())): None for run, one in zip(runs, shown, strict=True)}
    named, legend = titles([(method, dict(settings)) for method, settings in lines])
    names = dict(zip(lines, named, strict=True))
    placed = [
        replace(run, name=names[(run.method, tuple(one.items()))], shown=one)
        for run, one in zip(runs, shown, strict=True)
    ]
    return Board(0, head, tuple(placed), (*notes, *legend, *_unknown(placed)))


def _unknown(runs: Iterable[PlacedRun]) -> list[str]:
    """Notes on runs whose artifacts are missing, so that only names and settings distinguish them."""
    lacking: dict[tuple[str, ...], list[str]] = {}
    for run in runs:
        if run.identity.unknown:
            lacking.setdefault(run.identity.unknown, []).append(run.name)
    return [
        f"{some(list(dict.fromkeys(names)))}: the store no longer has {', '.join(parts)}; only names and recorded "
        f"settings distinguish these runs.{OF_SCORES if SCORES in parts else ''}"
        for parts, names in lacking.items()
    ]


def differing(runs: Sequence[PlacedRun]) -> list[dict[str, str]]:
    """For each run, the facts in which the table's runs of its method differ.

    Most facts are compared between all runs of a method. Three are compared within smaller groups:

    - reference sets: between runs of the same target;
    - budgets: between runs with the same budget label;
    - orders: between runs of single targets, and between runs of merged targets. With a single target every order
      ranks as `Highest` does, and the target's name already distinguishes the two groups.
    """
    places = [(_method_group(run), _target_group(run), _budget_group(run), _order_group(run)) for run in runs]
    known: dict[tuple[str, ...], list[Facts]] = {}
    for run, groups in zip(runs, places, strict=True):
        for group in groups:
            known.setdefault(group, []).append(run.identity.method)
    varied = {group: _varied(facts) for group, facts in known.items()}
    found = []
    for run, (by_method, by_target, by_budget, by_order) in zip(runs, places, strict=True):
        facts = run.identity.method
        group_of = dict.fromkeys(REFERENCES, by_target) | {"order": by_order}
        keys = [
            key
            for key in sorted(facts)
            if key in varied[by_budget if key.startswith("budget") else group_of.get(key, by_method)]
        ]
        if "reference rows" in keys and _determines(known[by_target], "reference rows", "reference"):
            keys = [key for key in keys if key != "reference"]  # the number of rows implies it
        if run.method == CONTROL and facts.get("order") == "Highest":
            keys = [key for key in keys if key != "order"]  # a control's usual order
        found.append({key: facts[key] for key in keys if facts[key]})
    return found


def _method_group(run: PlacedRun) -> tuple[str, ...]:
    """The runs of one method. Controls with a shuffled order, which ignores scores, form a group of their own."""
    shuffled = run.method == CONTROL and run.identity.method.get("order") == SHUFFLED
    return (run.method, SHUFFLED) if shuffled else (run.method,)


def _target_group(run: PlacedRun) -> tuple[str, ...]:
    return (run.method, "target", run.labels["target"])


def _budget_group(run: PlacedRun) -> tuple[str, ...]:
    return (run.method, "budget", run.budget)


def _order_group(run: PlacedRun) -> tuple[str, ...]:
    several = "+" in run.labels["target"] and run.method != CONTROL
    return (run.method, "order", "several" if several else "one")


def _varied(group: Sequence[Facts]) -> set[str]:
    """The keys with several values in a group; a missing key counts as a value."""
    keys = {key for facts in group for key in facts}
    return {key for key in keys if len({facts.get(key) for facts in group}) > 1}


def _determines(group: Sequence[Facts], by: str, key: str) -> bool:
    """Whether the fact `by` determines `key`."""
    seen: dict[str | None, set[str | None]] = {}
    for facts in group:
        seen.setdefault(facts.get(by), set()).add(facts.get(key))
    return all(len(values) == 1 for values in seen.values())
