"""What `nait --help` says, read from conf/ itself, and what a wrong key or option should have been."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import nait
from nait.core.errors import ConfigError, did_you_mean

KEYS = """\
  model.path          a model's folder (model=local) or Hub id (model=hf)
  model.max_length    texts are cut there, for scoring and training alike
  data.path           the pool: .jsonl .json .parquet .csv, also .gz or .zst
  target.path         the reference set of the capability you want
  selector.layers     all | first_half | middle | last_half | last | [1,2,3]
  selector.site       residual | mlp | mlp_out | attn_out
  selector.feature    delta | mean | last | mean_delta
  selector.similarity dot | cosine
  budget.ratio        share of the pool; or budget=count budget.count=500, budget=tokens budget.tokens=1e6
  train.epochs        passes over the selected rows
  eval.limit          items a task; eval.mirror=DIR reads benchmarks from a folder in the Hub's layout
  seed                of training and of random selection
  stages              [select,train,evaluate,report], or the ones you want
  paths.store         where artifacts are kept; what is there is not computed again
"""

EXAMPLES = """\
  # the best 10 % of your pool for your target: writes selected.jsonl and stops
  nait 'stages=[select]' model=local model.path=MODEL data=file data.path=pool.jsonl \\
       target=file target.path=reference.jsonl budget.ratio=0.1

  # NAIT against random: select, fine-tune, evaluate, leaderboard
  nait -m selector=nait,random seed=0,1,2 model=local model.path=MODEL data=file data.path=pool.jsonl \\
       target=file target.path=reference.jsonl eval=mmlu_gsm8k_bbh eval.mirror=DIR

  # what would run: the whole config, or one group of it
  nait --cfg job --package selector
"""


def conf_folder() -> Path:
    """Where the config groups are, in a clone and in an installed wheel."""
    import nait.conf

    return Path(str(nait.conf.__file__)).parent


def groups() -> dict[str, list[str]]:
    """Every config group and its options."""
    found: dict[str, list[str]] = {}
    for path in sorted(conf_folder().glob("*/*.yaml")):
        found.setdefault(path.parent.name, []).append(path.stem)
    return found


def named_none(arguments: Sequence[str]) -> list[str]:
    """The arguments, where `GROUP=null` is read as the option `none` of a group that has one, in a sweep's list too.

    Hydra takes only names there. Raises: ConfigError for a group that has no such option.
    """
    options = groups()

    def read(argument: str) -> str:
        group, _, value = argument.partition("=")
        known, given = options.get(group.split("@")[0], []), [one.strip() for one in value.split(",")]
        if not known or "null" not in given:
            return argument
        if "none" not in known:
            mend = f"Leave it out, or choose {', '.join(known)}."
            raise ConfigError("there is no option 'null'", where=group, mend=mend)
        return f"{group}={','.join('none' if one == 'null' else one for one in given)}"

    return [read(argument) for argument in arguments]


def help_text() -> str:
    """The help: groups with their options, the keys users change most, examples."""
    options = "\n".join(f"  {group:<12} {' | '.join(names)}" for group, names in groups().items())
    return (
        f"nait {nait.__version__}: which small part of an instruction pool makes a model better, "
        "at what cost, and is the gain real?\n\n"
        "Usage: nait [-m] [GROUP=OPTION ...] [KEY=VALUE ...]     -m runs every combination of comma lists\n\n"
        f"Groups and options\n{options}\n\nKeys\n{KEYS}\nExamples\n{EXAMPLES}"
    )


def explain(error: Exception, arguments: list[str]) -> str | None:
    """A message for a config error: what is wrong, the nearest known key or option. None: not a user's error."""
    text = str(error)
    option = re.search(r"Could not find '([\w@/]+)/([\w.-]+)'", text)
    if option:
        group, name = option.groups()
        return f"{group}={name}: there is no such option. {did_you_mean(name, groups().get(group, []))}"
    group_match = re.search(r"Could not override '([^']+)'", text)
    if group_match and group_match.group(1).split("@")[0] not in groups():
        return _unknown_key(group_match.group(1), arguments)
    key_match = re.search(r"Key '([^']+)' is not in struct", text)
    if key_match:
        full = re.search(r"full_key: (\S+)", text)
        return _unknown_key(full.group(1) if full else key_match.group(1), arguments)
    if "mismatched input" in text or "no viable alternative" in text or "extraneous input" in text:
        return f"{text.splitlines()[0]}. Quote lists and special characters: 'selector.layers=[1,2]'."
    return " ".join(text.split())


def _unknown_key(key: str, arguments: list[str]) -> str:
    known = known_keys(arguments)
    name = key.split("@")[0]
    return f"{name}: there is no such key. {did_you_mean(name, known) or 'See nait --help.'}"


def known_keys(arguments: list[str]) -> list[str]:
    """Every key of the composed config for the group choices among `arguments`, and the groups themselves."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import DictConfig

    options = groups()
    choices = [
        argument
        for argument in arguments
        if (parts := argument.split("=", 1))[0] in options
        and len(parts) == 2
        and parts[1] in options[parts[0]]
    ]
    GlobalHydra.instance().clear()
    with initialize_config_module(config_module="nait.conf", version_base="1.3"):
        config = compose("run", overrides=choices)

    def walk(node: DictConfig, prefix: str) -> list[str]:
        keys = []
        for key in map(str, node):
            if key == "_target_":
                continue
            path = f"{prefix}{key}"
            keys.append(path)
            inner = node._get_node(key)
            if isinstance(inner, DictConfig) and not inner._is_none() and not inner._is_missing():
                keys += walk(inner, path + ".")
        return keys

    return sorted({*walk(config, ""), *options})
