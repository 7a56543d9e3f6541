"""Workspaces: a saved view of a W&B project. The only importer of wandb_workspaces.

What it shows follows from what the project's runs have logged: `names`, the keys of their summaries.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from nait.core.errors import NaitError
from nait.tracking.wandb.tracker import asking

TITLE = "Selectors"
GROUP = "labels.selector"
"""The config key by which runs are grouped; by a tag W&B cannot."""
TABLES = ("leaderboard", "transfer")
CURVES = ("train/loss", "train/grad_norm", "train/learning_rate")
BARS = {"Benchmarks": "eval/", "Ground truth": "truth/", "Seconds": "seconds/"}
"""Section -> how the names of its numbers begin."""
PICTURES = "pictures/"
SHOWN_RUNS = 500


def save_view(project: str) -> str:
    """The address of a new saved view of ENTITY/PROJECT.

    Raises: NaitError without wandb-workspaces, a key, a network or such a project.
    """
    _library()
    with asking(project) as api:
        names = {name for run in api.runs(project, lazy=False) for name in run.summary_metrics}
        made = view(project, names)
        made.save()
        return str(made.url)


def view(project: str, names: Collection[str]) -> Any:
    """The view of ENTITY/PROJECT, not yet saved; a section without data is left out. Raises: NaitError, as above."""
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
    """Each section's title, its columns and its panels."""
    by = {"groupby": wr.Config(GROUP), "groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"}

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
            "saving a view needs wandb-workspaces", where="--workspace", mend="pip install 'nait[workspaces]'"
        ) from error
    return workspaces, panels, expr
