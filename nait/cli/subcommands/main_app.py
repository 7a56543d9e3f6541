"""The commands of `nait` and their options. A command's function only parses: it returns the work to be done."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Sequence
from functools import partial

import typer

import nait
from nait.cli.command.advice.option_advice import option_advice
from nait.cli.subcommands.direction_commands import directions
from nait.cli.subcommands.doctor import doctor
from nait.cli.subcommands.explaining import explain
from nait.cli.subcommands.listing import ls, show
from nait.cli.subcommands.publish_command import publish, submit
from nait.cli.subcommands.selecting import compare, select
from nait.cli.subcommands.store_commands import store_app, verify
from nait.core.errors import ConfigError

Work = Callable[[], None]
COMPLETION = "_NAIT_COMPLETE"
"""The variable by which a shell asks for completions."""
OVERVIEW = """\
Which small part of an instruction pool makes a language model better, at what cost, and is the gain real?

The demo, on two cores and without network: nait run experiment=quickstart

`nait KEY=VALUE ...` is short for `nait run KEY=VALUE ...`; `nait run --help` lists all groups, options and keys.
"""

app = typer.Typer(
    name="nait",
    help=OVERVIEW,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
PASSED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Settings of a command that passes all its arguments on."""


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True),
) -> Work | None:
    if version:
        return partial(_print, f"nait {nait.__version__}")
    return None if context.invoked_subcommand else partial(_print, context.get_help())


@app.command(context_settings=PASSED)
def run(context: typer.Context) -> Work:
    """Run a job from KEY=VALUE words, or with -m a sweep of jobs: select, fine-tune, evaluate, leaderboard."""
    return partial(_run, tuple(context.args))


@app.command(context_settings=PASSED)
def leaderboard(context: typer.Context) -> Work:
    """Compare all runs of one or several stores. `nait leaderboard --help` lists its options."""
    return partial(_script, "nait-leaderboard", tuple(context.args))


app.command()(select)
app.command()(compare)
app.command()(explain)
app.command()(ls)
app.command()(show)
app.command()(publish)
app.command()(submit)
app.command()(verify)
app.add_typer(directions)
app.add_typer(store_app, name="store")
app.command()(doctor)


def work_of(arguments: Sequence[str]) -> Work:
    """The work that a command line asks for. `KEY=VALUE` words and Hydra's flags belong to `nait run`.

    Raises: ConfigError for an option that a command does not have, or that lacks its value.
    """
    first = arguments[0] if arguments else "--help"
    if first == "help":
        arguments = [*arguments[1:2], "--help"]
        first = arguments[0]
    if COMPLETION not in os.environ and first not in _first_words():
        return partial(_run, tuple(arguments))
    if first == "run":  # its flags are Hydra's
        return partial(_run, tuple(arguments[1:]) or ("--help",))
    try:
        work = app(args=list(arguments), prog_name="nait", standalone_mode=False)
    except typer.TyperException as error:
        command = next((f"{first} " for name in command_names() if name == first), "")
        command += next((f"{name} " for name in arguments[1:2] if name in _subcommands(first)), "")
        unknown = str(getattr(error, "option_name", "") or "")
        advice = option_advice(first, unknown) if unknown else ""
        said = f"No such option: {unknown}" if advice else error.format_message()
        raise ConfigError(said, fix=" ".join(filter(None, [advice, f"See nait {command}--help."]))) from None
    return work if callable(work) else _nothing


def _subcommands(name: str) -> Collection[str]:
    """The commands below a command, such as `show` below `directions`."""
    command = typer.main.get_command(app).commands.get(name)  # type: ignore[attr-defined]
    return getattr(command, "commands", ())


def command_names() -> list[str]:
    """The commands in the order of `nait --help`."""
    return list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def _first_words() -> set[str]:
    """The words that begin a command line which is not a run."""
    flags = {"--help", "-h", "--version", "--install-completion", "--show-completion"}
    return {*command_names(), *flags}


def _run(arguments: Sequence[str]) -> None:
    from nait.cli.subcommands.hydra_jobs import run_jobs

    run_jobs(arguments)


def _script(name: str, arguments: Sequence[str]) -> None:
    """Run a script that this package installs, such as a wing's: the command line imports no wing."""
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name=name)
    sys.argv = [name.replace("-", " "), *arguments]
    script.load()()


def _print(text: str) -> None:
    print(text)


def _nothing() -> None:
    """Do nothing: the help or a completion has been printed."""
