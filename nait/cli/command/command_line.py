"""The command line, rewritten for Hydra: flags first, then overrides that fit a run or a sweep."""

from __future__ import annotations

import argparse
import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString, Sweep
from omegaconf import DictConfig

from nait.cli.command.advice.intended_options import several, suggestion
from nait.cli.command.advice.suggestions import RUN, check_words, flag_advice
from nait.cli.command.config_errors import no_such_key
from nait.cli.command.config_groups import GroupOptions, compose
from nait.cli.command.config_keys import has
from nait.cli.command.quoting import OWN_FILE, readable
from nait.cli.command.sweep_jobs import adds_to_open_dict, expand, with_addition
from nait.core.errors import ConfigError, did_you_mean, either

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
"""Keys that users often type as flags."""
MOST_GROUPS = 3
"""The most groups with an option of one name that a message lists."""
_PACKAGE = "is short for --package, which works only with --cfg"
_PACKAGE_FIX = "A group's config: nait --cfg job --package selector. A plan of the run: plan=true."


@dataclass(frozen=True)
class CommandLine:
    """Flags with their values, and words: `key=value`."""

    flags: argparse.Namespace
    words: list[str]

    def arguments(self) -> list[str]:
        """The arguments, flags first: Hydra accepts no flag after the first word."""
        found = []
        for action in get_args_parser()._actions:
            value = getattr(self.flags, action.dest, None)
            if action.option_strings and value not in (None, False, argparse.SUPPRESS):
                found += [action.option_strings[0], *([str(value)] if value is not True else [])]
        return [*found, *self.words]


def split(arguments: Sequence[str]) -> CommandLine:
    """Arguments in any order, split into flags and words. Raises: ConfigError for an unknown or conflicting flag."""
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign, assignment, unused-ignore]
    flags, unknown = parser.parse_known_intermixed_args(list(arguments))
    strange = [word for word in unknown if word.startswith("-")]
    if strange:
        raise ConfigError("there is no such flag", where=strange[0], fix=flag_advice(strange[0], KNOWN))
    if flags.experimental_rerun:
        fix = "Run the job's `command`, which is in its run.json."
        raise ConfigError("pickled configs are not read", where="--experimental-rerun", fix=fix)
    if flags.cfg and (flags.run or flags.info):
        raise ConfigError("cannot be combined with --run or --info", where="--cfg")
    if flags.package and not flags.cfg:
        raise ConfigError(_PACKAGE, where=f"-p {flags.package}", fix=_PACKAGE_FIX)
    if flags.resolve and not flags.cfg:
        raise ConfigError("works only with --cfg", where="--resolve", fix="Type nait --cfg job --resolve.")
    return CommandLine(flags, list(flags.overrides))


def _refuse(message: str) -> NoReturn:
    ambiguous = re.match(r"ambiguous option: (\S+) could match (.*)", message)
    if ambiguous:
        raise ConfigError(
            f"is short for several flags: {ambiguous[2]}",
            where=ambiguous[1],
            fix=OWN_FILE,
        )
    where, _, what = message.removeprefix("argument ").rpartition(": ")
    if where == "--package/-p":
        raise ConfigError(_PACKAGE, where="-p", fix=_PACKAGE_FIX)
    if given := re.fullmatch(r"ignored explicit argument '(.*)'", what):
        fix = f"Type {where.split('/')[0]} alone, without ={given[1]}."
        raise ConfigError("the flag takes no value", where=where, fix=fix)
    own = where.startswith("--cfg") and ".yaml" in what
    fix = f"{OWN_FILE} See nait run --help." if own else "See nait run --help."
    raise ConfigError(what, where=where or "command line", fix=fix)


def hydra_line(line: CommandLine, loader: ConfigLoader) -> CommandLine:
    """The line in Hydra's syntax. Overrides of a dict extend it; in a sweep, some jobs may lack an override's key.

    Raises: ConfigError for words that cannot be read, and with `--cfg` for a key that no job has.
    """
    options = GroupOptions(loader)
    check_words(line.words, options)
    if line.flags.multirun and not line.words and not line.flags.config_name:
        raise ConfigError("there is nothing to run", where="--multirun", fix=RUN)
    line = CommandLine(line.flags, readable(line.words))
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(line.words)
    for one in overrides:
        _check_choice(one, options)
    _check_additions(overrides, options, loader)
    _warn_of_repeats(overrides)
    if not any(_may_need_rewriting(one, line) for one in overrides):
        return line
    chosen = [one.input_line for one in overrides if _chooses(one, options)]
    base = compose(loader, chosen)
    if not (line.flags.multirun or str(base.hydra.mode).endswith("MULTIRUN")):
        return CommandLine(line.flags, [_run_word(one, base) for one in overrides])
    words = [_sweep_word(one, base) for one in overrides]
    return _first_job(line, words, loader) if line.flags.cfg else CommandLine(line.flags, words)


def _warn_of_repeats(overrides: Sequence[Override]) -> None:
    """Log a warning for each key or group that is given more than once; the last value is used."""
    last = {one.key_or_group: one for one in overrides if not one.is_add() and not one.is_delete()}
    counts = Counter(one.key_or_group for one in overrides if not one.is_add() and not one.is_delete())
    for key, count in counts.items():
        if count > 1 and last[key].package is None:
            _log.warning("nait: %s is given %d times: %s is used.", key, count, last[key].input_line)


def _check_choice(one: Override, options: GroupOptions) -> None:
    """Raises: ConfigError for a value that is not an option of its group, or for an unknown `+KEY`."""
    group = one.key_or_group
    if one.is_add() and not one.is_hydra_override() and not options.is_group(group):
        _check_added(group, options)
    if one.is_delete() or group not in options.groups:
        return
    for value in _named_options(one):
        if isinstance(value, list | dict):
            names = [_plain(part) for part in value]
            raise ConfigError("a group takes one option", where=group, fix=several(group, names, value))
        if not options.has(group, _plain(value)):
            fix = _elsewhere(group, _plain(value), options)
            raise ConfigError("there is no such option", where=f"{group}={_plain(value)}", fix=fix)


def _elsewhere(group: str, value: str, options: GroupOptions) -> str:
    """What to type instead of `group=value`; first the other group with this option, if one has it."""
    fix = suggestion(group, value, options.groups[group])
    others = [f"{name}={value}" for name, known in options.groups.items() if value in known and name != group]
    if not others or len(others) > MOST_GROUPS or fix.startswith("Type"):
        return fix
    return f"Did you mean {either(others)}? {fix}"


def _named_options(one: Override) -> list[Any]:
    """The values of an override; none for null and for a sweep that Hydra expands from a pattern."""
    if isinstance(one._value, ChoiceSweep):
        return [value for value in one._value.list if value is not None]
    return [] if one._value is None or isinstance(one._value, Sweep) else [one._value]


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.text if isinstance(value, QuotedString) else value)


def _check_added(key: str, options: GroupOptions) -> None:
    """Raises: ConfigError for `+KEY` with an unknown root."""
    root = key.split(".")[0]
    known = [*options.roots, *options.groups]
    if root not in known:
        raise ConfigError("there is no such key", where=f"+{key}", fix=did_you_mean(root, known))


def _check_additions(overrides: Sequence[Override], options: GroupOptions, loader: ConfigLoader) -> None:
    """Raises: ConfigError for `+KEY` with a key of options other than the chosen one, `+GROUP` of a chosen group."""
    groups = [
        one
        for one in overrides
        if (one.is_add() or one.is_force_add()) and not one.package and one.key_or_group in options.groups
    ]
    if groups:
        chosen = compose(loader, []).hydra.runtime.choices
        for one in groups:
            if one.key_or_group in chosen:
                typed = one.input_line.lstrip("+")
                raise ConfigError(
                    "a + adds a group, and a run has this one", where=f"+{typed}", fix=f"Type {typed}."
                )
    added = [one for one in overrides if one.is_add() and options.with_key(one.key_or_group)]
    if not added:
        return
    config = compose(loader, [one.input_line for one in overrides if _chooses(one, options)])
    for one in added:
        if not has(config, one.key_or_group):
            raise no_such_key(one.key_or_group, config, config.hydra.runtime.choices, options)


def _may_need_rewriting(one: Override, line: CommandLine) -> bool:
    """Whether an override may need rewriting. To decide, the config is composed, which takes 0.1 s."""
    sweeps = line.flags.multirun or one.key_or_group in ("sweep", "experiment", "hydra.mode")
    return bool(sweeps or isinstance(one._value, dict) or one.key_or_group.count(".") > 1)


def _chooses(one: Override, options: GroupOptions) -> bool:
    return bool(one.is_hydra_override() or options.is_group(one.key_or_group))


def _run_word(one: Override, base: DictConfig) -> str:
    return (
        with_addition(str(one.input_line), one.key_or_group, base) if _is_plain(one) else str(one.input_line)
    )


def _sweep_word(one: Override, base: DictConfig) -> str:
    """A word of a sweep. An override that some jobs lack becomes a sweep over one value, which the base skips."""
    key = one.key_or_group
    if not _is_plain(one) or one.is_sweep_override() or (has(base, key) and not adds_to_open_dict(base, key)):
        return str(one.input_line)
    return f"{key}=choice({one.get_value_element_as_str()})"


def _is_plain(one: Override) -> bool:
    """Whether an override sets an existing key: no option, no key of Hydra's, no addition, no deletion."""
    return "." in one.key_or_group and one.get_key_element()[0] not in "+~" and not one.is_hydra_override()


def _first_job(line: CommandLine, words: list[str], loader: ConfigLoader) -> CommandLine:
    """The command line of a sweep's first job, whose config `--cfg` shows: a sweep has no config of its own."""
    base = compose(loader, words)
    task = [*(f"{key}={value}" for key, value in (base.hydra.sweeper.params or {}).items())]
    jobs = expand(loader, base, [*task, *base.hydra.overrides.task]).overrides
    flags = argparse.Namespace(**{**vars(line.flags), "multirun": False})
    return CommandLine(flags, [*base.hydra.overrides.hydra, *jobs[0], "hydra.mode=RUN"])
