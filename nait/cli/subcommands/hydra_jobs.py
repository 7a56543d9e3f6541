"""`nait run`: a job or a sweep of jobs, composed by Hydra from `key=value` words."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from nait.cli.help import help_text, replace_null
from nait.core.errors import ConfigError
from nait.core.ranks import workers_from
from nait.runs.processes.launch import helper_overrides, prepare_process

HELP = ("--help", "-h", "help")


def run_jobs(arguments: Sequence[str]) -> None:
    """Run the job or the sweep. Raises: NaitError; Hydra's errors are translated into ConfigError."""
    if not arguments or not set(arguments).isdisjoint(HELP):
        sys.stdout.write(help_text())
        sys.stdout.flush()
        return
    prepare_process(workers_from(os.environ))
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from nait.cli.app import run
    from nait.cli.command.command_line import hydra_line, split
    from nait.cli.command.config_errors import explain, unreadable
    from nait.cli.command.config_groups import loader_of
    from nait.cli.config.composed_config import nait_message

    line = split(replace_null(arguments))
    loader = loader_of(line.flags.config_dir)
    try:
        line = hydra_line(line, loader)
        with helper_overrides(workers_from(os.environ)) as added:
            sys.argv[1:] = [*line.arguments(), *added]
            run()
    except YAMLError as error:  # in a file of the user's --config-dir
        raise unreadable(error) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(nait_message(error) or explain(error, line.words, loader)) from error
