"""The command line as Hydra is to read it: flags first, and words that fit a run or a sweep."""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from nait.cli.command.config_groups import GroupOptions, compose
from nait.cli.command.config_keys import has
from nait.cli.command.quoting import readable
from nait.cli.command.suggestions import RUN, check_words, flag_mend
from nait.cli.command.sweep_jobs import expand, filled, fills
from nait.core.errors import ConfigError, did_you_mean

_log = logging.getLogger(__name__)

KNOWN = (
    "selector",
    "seed",
    "stages",
    "budget.ratio",
    "model.path",
    "data.path",
    "target.path",
    "plan",
    "paths.store",
)
"""Keys that people type as flags."""


@dataclass(frozen=True)
class CommandLine:
    """Flags with their values, and words: `key=value`."""

    flags: argparse.Namespace
    words: list[str]

    def arguments(self) -> list[str]:
        """The line again, flags in front: Hydra takes none after the first word."""
        found = []
        for action in get_args_parser()._actions:
            value = getattr(self.flags, action.dest, None)
            if action.option_strings and value not in (None, False, argparse.SUPPRESS):
                found += [action.option_strings[0], *([str(value)] if value is not True else [])]
        return [*found, *self.words]


def split(arguments: Sequence[str]) -> CommandLine:
    """Flags and words, in any order. Raises: ConfigError for a flag that is not known or cannot be combined."""
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign, assignment, unused-ignore]
    flags, unknown = parser.parse_known_intermixed_args(list(arguments))
    strange = [word for word in unknown if word.startswith("-")]
    if strange:
        raise ConfigError("there is no such flag", where=strange[0], mend=flag_mend(strange[0], KNOWN))
    if flags.experimental_rerun:
        mend = "Type the command that run.json keeps for a job."
        raise ConfigError("pickled configs are not read", where="--experimental-rerun", mend=mend)
    if flags.cfg and (flags.run or flags.info):
        raise ConfigError("cannot be combined with --run or --info", where="--cfg")
    if flags.resolve and not flags.cfg:
        raise ConfigError("belongs to --cfg", where="--resolve", mend="Type nait --cfg job --resolve.")
    return CommandLine(flags, list(flags.overrides))


def _refuse(message: str) -> NoReturn:
    where, _, what = message.removeprefix("argument ").rpartition(": ")
    raise ConfigError(what, where=where or "command line", mend="See nait --help.")


def fitted(line: CommandLine, loader: ConfigLoader) -> CommandLine:
    """The line as Hydra reads it, with overrides that it applies where they apply: to dicts, to some jobs of a sweep.

    Raises: ConfigError for words that cannot be read, and of `--cfg` for a key that no job has.
    """
    options = GroupOptions(loader)
    check_words(line.words, options)
    if line.flags.multirun and not line.words and not line.flags.config_name:
        raise ConfigError("no word says what to run", where="--multirun", mend=RUN)
    line = CommandLine(line.flags, readable(line.words))
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(line.words)
    for one in overrides:
        _check_choice(one, options)
    _tell_twice(overrides)
    if not any(_may_need_fitting(one, line) for one in overrides):
        return line
    chosen = [one.input_line for one in overrides if _chooses(one, options)]
    base = compose(loader, chosen)
    if not (line.flags.multirun or str(base.hydra.mode).endswith("MULTIRUN")):
        return CommandLine(line.flags, [_single(one, base) for one in overrides])
    words = [_of_sweep(one, base) for one in overrides]
    return _first_job(line, words, loader) if line.flags.cfg else CommandLine(line.flags, words)


def _tell_twice(overrides: Sequence[Override]) -> None:
    """Says which value is used of a key, or which option of a group, that is given twice: the last one."""
    last = {one.key_or_group: one for one in overrides if not one.is_add() and not one.is_delete()}
    counts = Counter(one.key_or_group for one in overrides if not one.is_add() and not one.is_delete())
    for key, count in counts.items():
        if count > 1 and last[key].package is None:
            _log.warning("nait: %s is given %d times: %s is used.", key, count, last[key].input_line)


def _check_choice(one: Override, options: GroupOptions) -> None:
    """Raises: ConfigError for a number in place of an option's name."""
    group = one.key_or_group
    if one.is_add() and not one.is_hydra_override() and not options.is_group(group):
        _check_added(group, options)
    if isinstance(one._value, bool | int | float) and options.is_group(group):
        known = options.groups.get(group, [])
        raise ConfigError(
            "there is no such option", where=f"{group}={one._value}", mend=did_you_mean("", known)
        )


def _check_added(key: str, options: GroupOptions) -> None:
    """Raises: ConfigError for `+KEY` at the root, which nothing would read."""
    root = key.split(".")[0]
    known = [*options.roots, *options.groups]
    if root not in known:
        raise ConfigError("there is no such key", where=f"+{key}", mend=did_you_mean(root, known))


def _may_need_fitting(one: Override, line: CommandLine) -> bool:
    """Whether the config must be composed to know: it takes a tenth of a second."""
    sweeps = line.flags.multirun or one.key_or_group in ("sweep", "experiment", "hydra.mode")
    return bool(sweeps or isinstance(one._value, dict) or one.key_or_group.count(".") > 1)


def _chooses(one: Override, options: GroupOptions) -> bool:
    return bool(one.is_hydra_override() or options.is_group(one.key_or_group))


def _single(one: Override, base: DictConfig) -> str:
    return filled(str(one.input_line), one.key_or_group, base) if _is_plain(one) else str(one.input_line)


def _of_sweep(one: Override, base: DictConfig) -> str:
    """A word of a sweep: one that not every job may take is a sweep over its one value, which the base skips."""
    key = one.key_or_group
    if not _is_plain(one) or one.is_sweep_override() or (has(base, key) and not fills(base, key)):
        return str(one.input_line)
    return f"{key}=choice({one.get_value_element_as_str()})"


def _is_plain(one: Override) -> bool:
    """Whether a word sets a key of the config: no option, nothing of Hydra's, nothing added or deleted."""
    return "." in one.key_or_group and one.get_key_element()[0] not in "+~" and not one.is_hydra_override()


def _first_job(line: CommandLine, words: list[str], loader: ConfigLoader) -> CommandLine:
    """The line whose config is that of the sweep's first job: a sweep has no config of its own to show."""
    base = compose(loader, words)
    task = [*(f"{key}={value}" for key, value in (base.hydra.sweeper.params or {}).items())]
    jobs = expand(loader, base, [*task, *base.hydra.overrides.task]).overrides
    flags = argparse.Namespace(**{**vars(line.flags), "multirun": False})
    return CommandLine(flags, [*base.hydra.overrides.hydra, *jobs[0], "hydra.mode=RUN"])
