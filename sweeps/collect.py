"""Collect: the store's run records into leaderboard rows, each traceable to its artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from nait.core.errors import StoreError
from nait.core.results import Result, Row
from nait.stages.evaluations import read_items, read_results
from nait.store import Artifact

from .contrasts import BASE, CONTROL, TARGETLESS, metric_name, places
from .stores import Shelf

NOT_EVALUATED = Result(task="", metric="", value=0.0, stderr=None, n=0)
CONDITIONS = ("train.", "model.", "eval.", "template.")
"""Settings that belong to a run, whatever its method, begin so; as do the pool's name and content."""
POOL = ("pool", "pool content")
SHUFFLED = "Shuffled"
"""The order that makes any selector random: how a sweep over a method's own keys brings its control."""
PAID = ("select", "train", "evaluate")
"""The phases that a run's device time and money count."""
SHORT = 6


def collect(store: Shelf, runs: Sequence[str] | None = None, *, primary: bool = True) -> list[Row]:
    """The rows of these runs (None: of all in the store); with `primary`, one metric a task.

    Raises: StoreError for a run whose evaluation is gone.
    """
    records = run_records(store, runs)
    known = [run_settings(store, record) for record in records]
    differing = differing_settings(records, known)
    return [
        row
        for record, settings, shown in zip(records, known, differing, strict=True)
        for row in _rows(store, record, settings, shown, primary=primary)
    ]


def run_records(store: Shelf, runs: Sequence[str] | None) -> list[Artifact]:
    """The records of these runs (None: of all). Raises: StoreError for one that is not there."""
    if runs is None:
        return store.artifacts("runs")
    return [_record(store, address) for address in dict.fromkeys(runs)]


def outcomes(store: Shelf, rows: Sequence[Row]) -> dict[tuple[str, str, str], dict[str, float]]:
    """(evaluation, task, metric) -> item -> value, for the rows' own metrics and those of groups' tasks."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    wanted = {place for row in rows if row.evaluation for place, _ in places(row)}
    for address in sorted({row.evaluation for row in rows if row.evaluation}):
        evaluation = store.find("evaluations", address)
        for item in read_items(evaluation.path) if evaluation else ():
            place = (address, item.task, metric_name(item.metric, item.filter))
            if place in wanted:
                found.setdefault(place, {})[f"{item.doc_id}/{item.doc_hash}"] = item.value
    return found


def method_name(record: Artifact) -> str:
    """The selector's name; random for any whose scores a shuffled order ignored."""
    shuffled = record.manifest.get("settings", {}).get("order") == SHUFFLED
    return CONTROL if shuffled else str(record.manifest["labels"]["selector"])


def run_settings(store: Shelf, record: Artifact) -> dict[str, str]:
    """What a run was set to, flat; the pool's and the reference sets' content as short digests.

    Of random, whose scores say nothing, what is not the method's alone.
    """
    found = {str(key): str(value) for key, value in record.manifest.get("settings", {}).items()}
    if method_name(record) == CONTROL:
        found = {key: value for key, value in found.items() if _is_condition(key)}
    found["pool"] = str(record.manifest["labels"]["pool"])
    counts = record.manifest.get("reference_rows") or {}
    if counts:
        found["reference rows"] = "+".join(str(count) for count in dict.fromkeys(counts.values()))
    address = record.manifest["links"].get("scores")
    scores = store.find("scores", str(address)) if address else None
    key: Mapping[str, object] = scores.manifest.get("key", {}) if scores else {}
    if isinstance(pool := key.get("pool"), Mapping):
        found["pool content"] = str(pool.get("examples", ""))[:SHORT]
    if isinstance(targets := key.get("targets"), Sequence) and targets:
        found["reference"] = "+".join(str(one.get("examples", ""))[:SHORT] for one in targets)
    return found


def _is_condition(key: str) -> bool:
    return key in POOL or key.startswith(CONDITIONS)


def differing_settings(
    records: Sequence[Artifact], known: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """For each run, the settings in which runs of its selector differ: so only seeds are ever averaged.

    Reference sets differ where runs for one target had several; the pool's content where one name stood for several.
    """
    names = [method_name(record) for record in records]
    targets = [str(record.manifest["labels"]["target"]) for record in records]
    found = []
    for name, target, settings in zip(names, targets, known, strict=True):
        runs = zip(names, targets, known, strict=True)
        same = [(at, one) for other, at, one in runs if other == name]
        aimed = [one for at, one in same if at == target and name not in TARGETLESS]
        named = [one for _, one in same if one["pool"] == settings["pool"]]
        groups = {"reference": aimed, "reference rows": aimed, "pool content": named}
        everyone = [one for _, one in same]
        differing = [k for k in sorted(settings) if len({one.get(k) for one in groups.get(k, everyone)}) > 1]
        if "reference rows" in differing and _decided(aimed, "reference rows", "reference"):
            differing = [key for key in differing if key != "reference"]  # the number of rows says it
        found.append({key: settings[key] for key in differing})
    return found


def _decided(group: Sequence[Mapping[str, str]], by: str, key: str) -> bool:
    """Whether the setting `by` leaves `key` one value."""
    seen: dict[str | None, set[str | None]] = {}
    for one in group:
        seen.setdefault(one.get(by), set()).add(one.get(key))
    return all(len(values) == 1 for values in seen.values())


def _record(store: Shelf, address: str) -> Artifact:
    found = store.find("runs", address)
    if found is None:
        raise StoreError(f"there is no run {address}", where=str(store.root), mend="Run the job again.")
    return found


def _rows(
    store: Shelf, record: Artifact, settings: Mapping[str, str], shown: Mapping[str, str], *, primary: bool
) -> Iterable[Row]:
    links, labels, seconds = (record.manifest[key] for key in ("links", "labels", "phase_seconds"))
    if links.get("evaluation"):
        evaluation = store.find("evaluations", str(links["evaluation"]))
        if evaluation is None:
            raise StoreError("its evaluation is gone", where=str(record.path), mend="Run the job again.")
        requested = set(evaluation.manifest["key"]["suite"].get("requested", ()))
        results = [one for one in read_results(evaluation.path) if one.primary or not primary]
    else:
        requested, results = {""}, [NOT_EVALUATED]
    method = method_name(record) if labels["trained"] or not links.get("evaluation") else BASE
    name = " ".join([method, *(f"{key}={value}" for key, value in shown.items())])
    checks = _checks(store, links.get("scores"))
    truth = record.manifest.get("truth") or {}
    paid = 1.0
    if method == BASE:  # whatever rows its job chose, nothing was made of them
        checks, truth = {}, {}
    if method == CONTROL != labels["selector"]:  # scores that a shuffled order ignored are not random's
        checks, truth = (
            {},
            {key: value for key, value in truth.items() if key not in ("auc", "precision each")},
        )
        paid = 1 - seconds.get("select", 0.0) / (sum(seconds.get(name, 0.0) for name in PAID) or 1.0)
        seconds = {**seconds, "select": 0.0}
    for result in results:
        yield Row(
            selector=name if method != BASE else BASE,
            target=labels["target"],
            budget=labels["budget"],
            seed=labels["seed"],
            model=labels["model"],
            task=result.task,
            metric=metric_name(result.metric, result.filter),
            value=result.value,
            stderr=result.stderr,
            n=result.n,
            headline=result.task in requested,
            selected_rows=record.manifest["selected_rows"],
            answer_tokens=record.manifest["answer_tokens"],
            seconds_select=seconds.get("select", 0.0),
            seconds_train=seconds.get("train", 0.0),
            seconds_evaluate=seconds.get("evaluate", 0.0),
            device_hours=record.manifest["device_hours"] * paid,
            money=None if record.manifest["money"] is None else record.manifest["money"] * paid,
            selection=links.get("selection") or "",
            adapter=links.get("adapter") or "",
            evaluation=links.get("evaluation") or "",
            run=record.address,
            missing=", ".join(result.missing),
            truth=truth,
            checks=checks,
            method=method,
            settings=dict(shown) if method != BASE else {},
            conditions={key: value for key, value in settings.items() if _is_condition(key)},
            members=result.members,
        )


def _checks(store: Shelf, scores: str | None) -> dict[str, float]:
    """What a reader should know of a score column, the worst of a run's targets.

    rho: Spearman's correlation with token length, the one furthest from 0. Of methods that report layers:
    margin: the mean of |mu . v| / |mu| over the layers used; top layer: the largest share of the score's variance.
    """
    found = store.find("scores", scores) if scores else None
    if found is None:
        return {}
    rhos = [rho for rho in found.manifest["length_correlation"].values() if rho is not None]
    checks = {"rho": max(rhos, key=abs)} if rhos else {}
    layered = [one for one in found.manifest["diagnostics"].values() if "sign_margin" in one]
    if layered:
        shares = [one["layer_share_of_score_variance"] for one in layered]
        margins = [
            fmean(one["sign_margin"][layer] for layer in used)
            for one, used in zip(layered, shares, strict=True)
        ]
        checks |= {"margin": min(margins), "top layer": max(max(used.values()) for used in shares)}
    return checks
