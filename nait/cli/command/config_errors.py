"""Messages for config errors: translations of Hydra's and OmegaConf's errors, and suggestions for unknown keys."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import GrammarParseError
from yaml import YAMLError

from nait.cli.command.advice.key_synonyms import answer_to, synonym
from nait.cli.command.advice.replaced_keys import replaced
from nait.cli.command.config_groups import GroupOptions, compose, loader_of
from nait.cli.command.config_keys import paths
from nait.cli.command.quoting import TEXTS, quoted
from nait.core.errors import ConfigError, did_you_mean, either
from nait.core.inputs.repeated_keys import repeated_key_error

NOTES = {
    "tracking.mode": " It is offline, online or disabled; tracking=files writes files only.",
    "seed": " Several seeds: -m seed=0,1,2.",
    "budget.count": " A share of the pool: budget=10%.",
    "data.on_bad": " data.on_bad=skip skips and counts invalid rows; data.on_bad=error refuses them.",
    "template": " Such as template=alpaca; template=chat is the model's own, template=file template.path=FILE yours.",
}
"""Key -> what its suggestion adds."""
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
ONE_VALUE = ("seed", "plan")
"""Root keys that take neither a list nor text."""
DICTS = ("columns", "paths", "num_fewshot", "primary")
"""Last parts of keys whose value is a dict."""
DECIMALS = (
    "budget.ratio",
    "train.epochs",
    "train.budget_share",
    "train.learning_rate",
    "train.warmup",
    "train.lora.dropout",
)
"""Keys whose value is often a fraction."""
EXTRAS = {
    "hydra/launcher": "For SLURM's launchers: pip install 'nait[slurm]'; for Ray's: pip install 'nait[ray]'."
}


def explain(error: Exception, words: Sequence[str], loader: ConfigLoader) -> str:
    """The message for an error of Hydra or OmegaConf that these words caused."""
    text = str(error)
    option = re.search(r"Could not find '([\w@/]+)/([^'/]*)'", text)
    if option:
        return _no_such_option(option.group(1), option.group(2), loader)
    several = re.search(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", text)
    if several:
        return _several_values(several.group(1), GroupOptions(loader))
    reference = unresolved(error)
    if reference:
        return str(reference)
    full = re.search(r"full_key: (\S+)", text)
    key = re.search(r"Could not override '([^']+)'", text) or re.search(
        r"Key '([^']+)' is not in struct", text
    )
    if key:
        return _unknown(full.group(1) if full and "struct" in text else key.group(1), words, loader)
    deleted = re.search(r"Could not delete from config. '([^']+)' does not exist", text)
    if deleted:
        return _unknown(deleted.group(1), words, loader)
    launcher = re.search(r"Key '([^']+)' not in '(\w+?)LauncherConf'", text)
    if launcher:
        setting = f"hydra.launcher.{launcher.group(1)}"
        launched = launcher.group(2).casefold()
        return (
            f"{setting}: hydra/launcher={launched} has no such key, and the command or its experiment sets it. "
            f"Type hydra/launcher=joblib hydra.launcher.n_jobs=1 to run one job at a time, or remove {setting}=."
        )
    plain = " ".join(re.sub(r"See https?://\S+.*|Set the environment variable.*", "", text).split())
    return f"{plain.rstrip('.')}. See nait run --help."


def unreadable(error: YAMLError) -> ConfigError:
    """The error for a config file that is not YAML, or that repeats a key."""
    mark, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", error))
    where = f"{mark.name} line {mark.line + 1}" if mark else "--config-dir"
    repeated = re.search(r"found duplicate key (.*)", problem)
    return (
        repeated_key_error(repeated.group(1), where)
        if repeated
        else ConfigError(f"this is not YAML ({problem})", where=where)
    )


def unresolved(error: Exception) -> ConfigError | None:
    """The error for a `${...}` that cannot be resolved; None for any other error."""
    text = str(error)
    full = re.search(r"full_key: (\S+)", text)
    where = full.group(1) if full else ""
    literal = "For literal text, write \\${...}."
    if found := re.search(r"Interpolation key '([^']+)' not found", text):
        group = found.group(1).split(".")[0]
        if having := GroupOptions(loader_of()).with_key(found.group(1)):
            what = f"needs the key {found.group(1)}, which the chosen {group} lacks"
            return ConfigError(what, where=where, fix=f"Choose {group}={either(having)}.")
        return ConfigError(f"'${{{found.group(1)}}}' names no key of the config", where=where, fix=literal)
    if found := re.search(r"Environment variable '([^']+)' not found", text):
        fix = f"Set it, or write ${{oc.env:{found.group(1)},DEFAULT}}."
        return ConfigError(f"the environment variable {found.group(1)} is not set", where=where, fix=fix)
    if found := re.search(r"Unsupported interpolation type (\S+)", text):
        return ConfigError(f"'${{{found.group(1)}:...}}' is not a resolver", where=where, fix=literal)
    if isinstance(error, GrammarParseError):
        return ConfigError("a '${' in a value cannot be read", where=where, fix=literal)
    return None


def _no_such_option(group: str, name: str, loader: ConfigLoader) -> str:
    group = group.split("@")[0]
    known = loader.get_group_options(group, ObjectType.CONFIG)
    extra = EXTRAS.get(group, "")
    return f"{group}={name}: there is no such option. {did_you_mean(name, known)} {extra}".strip()


def _several_values(word: str, options: GroupOptions) -> str:
    key, _, value = word.partition("=")
    root = key.split(".")[0].lstrip("+~")
    if root not in (*options.roots, *options.groups) and not root.startswith("hydra"):
        return str(no_such_key(key, compose(loader_of(), []), {}, options))
    if pairs := _pairs(key, value):
        return f"{key}: a dict is written in braces. Type {pairs}."
    message = f"{key}: '{value}' is several values. To run each, add -m."
    if re.fullmatch(r"[0-9],[0-9]+", value) and key in DECIMALS:
        return f"{message} A decimal has a point: {key}={value.replace(',', '.')}."
    if key == "eval":
        return f"{message} In one run: eval=lm_eval {shlex.quote(f'eval.tasks=[{value}]')}."
    if options.is_group(key) or key in ONE_VALUE:
        return message
    if all(NUMBER.fullmatch(part.strip()) for part in value.split(",")) and not key.endswith("layers"):
        return message
    as_list = f"{message} As a list: {shlex.quote(f'{key}=[{value}]')}."
    return (
        f"{as_list} As one text: {shlex.quote(f'{key}={quoted(value)}')}."
        if key.split(".")[-1] in TEXTS
        else as_list
    )


def _pairs(key: str, value: str) -> str:
    """The override for `key=a:b,c:d` whose parameter takes a dict; "" for any other value."""
    parts = [part.partition(":") for part in value.split(",")]
    if key.split(".")[-1] not in DICTS or not all(name and colon and one for name, colon, one in parts):
        return ""
    typed = ", ".join(f"{name.strip()}: {one.strip()}" for name, _, one in parts)
    return shlex.quote(f"{key}={{{typed}}}")


def _unknown(key: str, words: Sequence[str], loader: ConfigLoader) -> str:
    """The message for a key that the config of the chosen options lacks."""
    options = GroupOptions(loader)
    name = key.split("@")[0]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    choices = [
        one.input_line for one in parsed if options.is_group(one.key_or_group) and not one.is_sweep_override()
    ]
    try:
        config = compose(loader, choices)
    except HydraException:
        config = compose(loader, [])
    given = {one.key_or_group for one in parsed}
    return str(no_such_key(name, config, config.hydra.runtime.choices, options, given))


def no_such_key(
    key: str,
    config: DictConfig,
    choices: Mapping[str, str],
    options: GroupOptions,
    given: Collection[str] = (),
) -> ConfigError:
    """The error for a key that the config lacks. It names the options with that key, or the nearest keys.

    `choices`: group -> chosen option, as in {"budget": "ratio"}. `given`: other keys of the command line.
    """
    if old := replaced(key):
        return old
    option, _, rest = key.partition("/")[2].partition(".")
    if option and options.has(key.split("/")[0], option):
        chosen = f"{key.split('/')[0]}={option}"
        fix = f"Type {chosen}, and its keys as {key.split('/')[0]}.{rest or 'path'}=VALUE."
        return ConfigError("there is no such key", where=key, fix=fix)
    group = key.split(".")[0]
    having = options.with_key(key)
    if having:
        chosen = f"{group}={choices[group]} has" if choices.get(group) else "there is"
        return ConfigError(f"{chosen} no such key", where=key, fix=f"It needs {group}={either(having)}.")
    known = {*paths(config), *options.groups, *options.keys(group)} - {key}
    held = OmegaConf.select(config, group) if group in config else None
    missing = (
        [
            name
            for name in map(str, held)
            if OmegaConf.is_missing(held, name) and f"{group}.{name}" not in given
        ]
        if isinstance(held, DictConfig)
        else []
    )
    needed = f" {group}.{missing[0]} has no value yet." if missing else ""
    return ConfigError(
        "there is no such key",
        where=key,
        fix=(_meant(key, known, config, options) or _nearest(key, sorted(known))) + needed,
    )


def _meant(key: str, known: Collection[str], config: DictConfig, options: GroupOptions) -> str:
    """A suggestion for another tool's word for a key, with all keys that end with it; "" for an unknown word."""
    found = synonym(key)
    if not found and (answer := answer_to(key)):
        return answer
    if not found:
        return ""
    if "=" in found:
        return f"Type -m {found}=NUMBER."
    ending = [] if "." in key else [one for one in _ending(key, known) if one != found]
    having = [] if found in {*paths(config), *options.groups} else options.with_key(found)
    needed = f" It needs {found.split('.')[0]}={either(having)}." if having else ""
    return f"Did you mean {either([repr(one) for one in (found, *ending)])}?{needed}{NOTES.get(found, '')}"


def _ending(key: str, known: Iterable[str]) -> list[str]:
    """The known keys with this last part, without Hydra's."""
    return [one for one in sorted(known) if one.split(".")[-1] == key and not one.startswith("hydra.")]


def _nearest(key: str, known: Sequence[str]) -> str:
    """A suggestion: keys with the same last part, or with a similar name."""
    if ending := _ending(key, known):
        return f"Did you mean {either([repr(one) for one in ending])}?"
    own = [one for one in known if one.startswith(key.split(".")[0] + ".")]
    near = did_you_mean(key, own or known)
    return near if near.startswith("Did you") else did_you_mean(key, known) or "See nait run --help."
