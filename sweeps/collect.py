"""Collect: the store's run records into leaderboard rows, each traceable to its artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from nait.core.errors import StoreError
from nait.core.results import Result, Row
from nait.stages.evaluations import read_items, read_results
from nait.store import Artifact, Store

NOT_EVALUATED = Result(task="", metric="", value=0.0, stderr=None, n=0)


def collect(store: Store, runs: Sequence[str] | None = None, *, primary: bool = True) -> list[Row]:
    """The rows of these runs (None: of all in the store); with `primary`, one metric a task.

    Raises: StoreError for a run whose evaluation is gone.
    """
    if runs is None:
        records = store.artifacts("runs")
    else:
        records = [_record(store, address) for address in dict.fromkeys(runs)]
    names = distinct_names(records)
    return [row for record in records for row in _rows(store, record, names[record.address], primary=primary)]


def outcomes(store: Store, rows: Sequence[Row]) -> dict[tuple[str, str], dict[str, float]]:
    """(evaluation, task) -> item -> value, for the rows' own metrics; groups have no items of their own."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    metrics = {(row.evaluation, row.task): row.metric for row in rows}
    for address in sorted({row.evaluation for row in rows if row.evaluation}):
        for item in read_items(store.folder("evaluations", address)):
            if metrics.get((address, item.task)) == metric_name(item.metric, item.filter):
                found.setdefault((address, item.task), {})[f"{item.doc_id}/{item.doc_hash}"] = item.value
    return found


def metric_name(metric: str, filter_name: str) -> str:
    """The metric as a table shows it: with its filter where it has one."""
    return f"{metric} ({filter_name})" if filter_name not in ("", "none") else metric


def distinct_names(records: Sequence[Artifact]) -> dict[str, str]:
    """Each run's selector with the settings in which it differs from other runs of that selector.

    So rows that differ in more than the seed are never averaged as if they did not.
    """
    groups: dict[str, list[Artifact]] = {}
    for record in records:
        groups.setdefault(str(record.manifest["labels"]["selector"]), []).append(record)
    names = {}
    for name, group in groups.items():
        settings = [
            {**record.manifest["settings"], "pool": record.manifest["labels"]["pool"]} for record in group
        ]
        keys = sorted({key for one in settings for key in one})
        differing = [key for key in keys if len({one.get(key) for one in settings}) > 1]
        for record, one in zip(group, settings, strict=True):
            shown = [f"{key}={one[key]}" for key in differing if key in one]
            names[record.address] = " ".join([name, *shown])
    return names


def _record(store: Store, address: str) -> Artifact:
    found = store.find("runs", address)
    if found is None:
        raise StoreError(f"there is no run {address}", where=str(store.root), mend="Run the job again.")
    return found


def _rows(store: Store, record: Artifact, name: str, *, primary: bool) -> Iterable[Row]:
    links, labels, seconds = (record.manifest[key] for key in ("links", "labels", "phase_seconds"))
    if links.get("evaluation"):
        evaluation = store.find("evaluations", str(links["evaluation"]))
        if evaluation is None:
            raise StoreError("its evaluation is gone", where=str(record.path), mend="Run the job again.")
        requested = set(evaluation.manifest["key"]["suite"].get("requested", ()))
        results = [one for one in read_results(evaluation.path) if one.primary or not primary]
    else:
        requested, results = {""}, [NOT_EVALUATED]
    for result in results:
        yield Row(
            selector=name if labels["trained"] or not links.get("evaluation") else "base (not trained)",
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
            device_hours=record.manifest["device_hours"],
            money=record.manifest["money"],
            selection=links.get("selection") or "",
            adapter=links.get("adapter") or "",
            evaluation=links.get("evaluation") or "",
            run=record.address,
            missing=", ".join(result.missing),
            truth=record.manifest.get("truth") or {},
            checks=_checks(store, links.get("scores")),
        )


def _checks(store: Store, scores: str | None) -> dict[str, float]:
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
