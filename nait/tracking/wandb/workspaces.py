"""Saved views of a W&B project. The only importer of wandb_workspaces.

A view's panels depend on what the project's runs have logged: `names`, the keys of their summaries.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from nait.core.errors import NaitError
from nait.tracking.wandb.api import public_api

TITLE, REPORT = "Selectors", "Which data to tune on"
GROUP = "labels.selector"
"""The config key that groups runs; W&B cannot group by a tag."""
ABOUT = "Bars and curves are means over a selector's runs with their standard errors. Costs are from an empty store."
TABLES = ("means", "leaderboard", "transfer")
CURVES = ("train/loss", "train/grad_norm", "train/learning_rate")
BARS = {
    "Benchmarks": "eval/", "Differences to random": "minus_random/", "Ground truth": "truth/", "Seconds": "seconds/",
    "Energy": "energy_wh/",
}  # fmt: skip
"""Section -> prefix of its metrics' names."""
PICTURES = "pictures/"
SHOWN_RUNS = 500


def save_view(project: str) -> str:
    """Save a new view of ENTITY/PROJECT; returns its URL.

    Raises: NaitError without wandb-workspaces, an API key, network access or such a project.
    """
    _library()
    with public_api(project) as api:
        names = {name for run in api.runs(project, lazy=False) for name in run.summary_metrics}
        workspace = view(project, names)
        workspace.save()
        return str(workspace.url)


def save_report(project: str) -> str:
    """Save a new W&B report of ENTITY/PROJECT, with the sections of the view; returns its URL.

    Raises: NaitError, see `save_view`.
    """
    _library()
    with public_api(project) as api:
        names = {name for run in api.runs(project, lazy=False) for name in run.summary_metrics}
        made = report(project, names)
        made.save()
        return str(made.url)


def report(project: str, names: Collection[str]) -> Any:
    """An unsaved report: a heading and a grid of panels for each section. Raises: NaitError, see `save_view`."""
    _, wr, _ = _library()
    entity, _, short = project.partition("/")

    def grid(panels: list[Any]) -> Any:
        runs = wr.Runset(groupby=[f"config.{GROUP}"])  # without a project: the report's own
        return wr.PanelGrid(runsets=[runs], panels=panels)

    sections = [(title, panels) for title, _, panels in _panels(wr, names) if panels]
    blocks = [block for title, panels in sections for block in (wr.H2(title), grid(panels))]
    return wr.Report(
        entity=entity, project=short, title=REPORT, description=ABOUT, blocks=blocks, width="fluid"
    )


def view(project: str, names: Collection[str]) -> Any:
    """An unsaved view of ENTITY/PROJECT, without sections that have no data. Raises: NaitError, see `save_view`."""
    ws, wr, expr = _library()
    entity, _, short = project.partition("/")
    scores = [f"summary:{name}" for name in sorted(names) if name.startswith(BARS["Benchmarks"])]
    return ws.Workspace(
        entity=entity,
        project=short,
        name=TITLE,
        sections=[
            ws.Section(
                name=title, panels=panels, is_open=True,
                layout_settings=ws.SectionLayoutSettings(columns=columns, rows=2),
            )
            for title, columns, panels in _panels(wr, names) if panels
        ],
        settings=ws.WorkspaceSettings(max_runs=SHOWN_RUNS),
        runset_settings=ws.RunsetSettings(groupby=[expr.Config(GROUP)], pinned_columns=scores),
    )  # fmt: skip


def _panels(wr: Any, names: Collection[str]) -> list[tuple[str, int, list[Any]]]:
    """(title, columns, panels) of each section."""
    by = {"groupby": wr.Config(GROUP), "groupby_aggfunc": "mean", "groupby_rangefunc": "stderr"}

    def bars(prefix: str) -> list[Any]:
        found = sorted(name for name in names if name.startswith(prefix))
        return [wr.BarPlot(title=name.removeprefix(prefix), metrics=[name], **by) for name in found]

    return [
        ("Leaderboard", 1, [wr.WeavePanelSummaryTable(table_name=name) for name in TABLES if name in names]),
        *((title, 3, bars(prefix)) for title, prefix in BARS.items()),
        ("Training", 3, [wr.LinePlot(x="train/step", y=[name], **by) for name in CURVES if name in names]),
        (
            "Pictures", 2,
            [wr.MediaBrowser(media_keys=[name]) for name in sorted(names) if name.startswith(PICTURES)],
        ),
    ]  # fmt: skip


def _library() -> tuple[Any, Any, Any]:
    """wandb_workspaces' workspaces, panels and expressions."""
    try:
        import wandb_workspaces.reports.v2 as panels
        import wandb_workspaces.workspaces as workspaces
        from wandb_workspaces import expr
    except ImportError as error:
        raise NaitError(
            "saving a view needs wandb-workspaces", where="--workspace", fix="pip install 'nait[workspaces]'"
        ) from error
    return workspaces, panels, expr
