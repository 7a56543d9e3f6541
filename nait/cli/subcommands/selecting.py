"""`nait select`, the best rows of a pool for a target, and `nait compare`, methods by the models that they give."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from nait.cli.help import RECOMMENDED
from nait.core.inputs.visible_text import visible, visible_record
from nait.core.ranks import workers_from

if TYPE_CHECKING:
    from nait.cli.config.composed_config import ComposedConfig
    from nait.cli.selection.selection_runs import SelectionRun


@dataclass(frozen=True)
class Wish:
    """A command line of `nait select`."""

    words: tuple[str, ...]
    out: str | None
    plan: bool
    explain: bool


def select(
    pool: str = typer.Argument(metavar="POOL", help="The pool: a file, a folder, a pattern, a preset or a Hub id."),
    more: list[str] | None = typer.Argument(None, metavar="[KEY=VALUE]...", help="Keys of `nait run`."),
    like: str | None = typer.Option(
        None, "--like", metavar="REF", help="Examples of what the model should become better at: a file of rows, "
        "a preset, or a folder of exported directions.",
    ),
    model: str | None = typer.Option(None, "--model", metavar="M", help="A model's folder, Hub id or preset."),
    top: str | None = typer.Option(None, "--top", metavar="SHARE", help="10% or 0.1; 10% if no size is given."),
    rows: str | None = typer.Option(None, "--rows", metavar="N", help="A number of rows: 500, 20k."),
    tokens: str | None = typer.Option(None, "--tokens", metavar="N", help="A number of answer tokens, as read: 2M."),
    method: str = typer.Option(RECOMMENDED, "--method", metavar="NAME", help="The selector; `nait ls selectors`."),
    out: str | None = typer.Option(
        None, "--out", metavar="FILE", help="Where to write the rows; .jsonl, .json, .parquet, .arrow, .csv or .tsv."
    ),
    plan: bool = typer.Option(False, "--plan", help="Say what would be done, in what time, and stop."),
    explain: bool = typer.Option(False, "--explain", help="Explain the selection and its first rows at length."),
) -> Callable[[], None]:  # fmt: skip
    """Select the rows of POOL that are most like REF for a model."""

    def work() -> None:
        from nait.cli.config.short_options import AskedSize, select_words

        words = select_words(
            pool=pool,
            like=like,
            model=model,
            size=AskedSize(top, rows, tokens),
            method=method,
            more=more or (),
        )
        if out is not None:
            from nait.cli.selection.exported_rows import check_format, check_kept, check_no_input
            from nait.core.inputs.paths import at_home

            check_format(at_home(out))
            check_no_input(at_home(out), [pool, *([like] if like else [])])
            check_kept(at_home(out))
        _select(Wish(tuple(words), out, plan, explain))

    return work


def _select(wish: Wish) -> None:
    """Run the selection and write its files. Raises: NaitError."""
    from nait.cli.subcommands.hydra_jobs import run_jobs
    from nait.runs.processes.launch import prepare_process

    prepare_process(workers_from(os.environ))
    command = shlex.join(["nait", "run", *wish.words])
    if workers_from(os.environ).rank > 0:
        return run_jobs(wish.words)
    if wish.plan:
        print(visible_record(f"As a job: {command}"), file=sys.stderr)
        return run_jobs([*wish.words, "plan=true"])
    from nait.cli.selection.selection_runs import run_selection
    from nait.cli.selection.summaries import ending

    print(visible_record(f"As a job: {command}"), file=sys.stderr)
    run = run_selection(wish.words, command=command, start=_log_to_console_and_file)
    print(visible(ending(run, written(run, wish.out))))
    return None


def written(run: SelectionRun, out: str | None) -> str:
    """The file of the selected rows: `--out`, with the scores beside it, or the one in the run's folder."""
    from nait.cli.selection.exported_rows import place_for, scores_place, write_rows
    from nait.stages.artifacts.score_files import write_scored_rows

    if out is None:
        return str(run.folder / "selected.jsonl")
    path = place_for(out, run.pool)
    write_rows(path, run.pool, run.selection)
    write_scored_rows(scores_place(path), run.made, run.pool, selected=path)
    return str(path)


def _log_to_console_and_file(composition: ComposedConfig) -> None:  # noqa: ARG001  # its config is Hydra's current one
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import configure_log

    configure_log(HydraConfig.get().job_logging, HydraConfig.get().verbose)


def compare(
    pool: str = typer.Argument(metavar="POOL", help="The pool: a file, a folder, a pattern, a preset or a Hub id."),
    more: list[str] | None = typer.Argument(None, metavar="[KEY=VALUE]...", help="Keys of `nait run`."),
    like: str | None = typer.Option(None, "--like", metavar="REF", help="Examples of what to become better at."),
    model: str | None = typer.Option(None, "--model", metavar="M", help="A model's folder, Hub id or preset."),
    methods: str = typer.Option(f"{RECOMMENDED},random", "--methods", metavar="A,B", help="Selectors, with commas."),
    seeds: int = typer.Option(3, "--seeds", metavar="N", min=1, help="Number of seeds; with one, nothing is tested."),
    top: str | None = typer.Option(None, "--top", metavar="SHARE", help="10% or 0.1; 10% if no size is given."),
    rows: str | None = typer.Option(None, "--rows", metavar="N", help="A number of rows."),
    tokens: str | None = typer.Option(None, "--tokens", metavar="N", help="A number of answer tokens, as read."),
    benchmark: str | None = typer.Option(None, "--eval", metavar="NAME", help="A benchmark: `nait ls evals`."),
    test: str | None = typer.Option(None, "--test", metavar="FILE", help="Test rows. Default: a share of REF."),
    plan: bool = typer.Option(False, "--plan", help="Say what would be done, in what time, and stop."),
) -> Callable[[], None]:  # fmt: skip
    """Select, fine-tune and evaluate with several methods and seeds: one leaderboard."""

    def work() -> None:
        from nait.cli.config.short_options import AskedSize, check_more, compare_words, evaluation_words
        from nait.cli.subcommands.hydra_jobs import run_jobs

        if methods.rstrip().endswith(",") and more and "=" not in more[0]:
            from nait.core.errors import ConfigError

            what, fix = "the shell split the list at a space", f"Type --methods {methods.strip()}{more[0]}."
            raise ConfigError(what, where="--methods", fix=fix)
        check_more(more or ())
        words = compare_words(
            pool=pool, like=like, model=model, size=AskedSize(top, rows, tokens), methods=methods.split(","),
            seeds=seeds, more=[*evaluation_words(benchmark, test), *(more or ())],
        )  # fmt: skip
        print(visible_record(f"As a job: {shlex.join(['nait', 'run', '-m', *words])}"), file=sys.stderr)
        run_jobs(["-m", *words, *(["plan=true"] if plan else [])])

    return work
