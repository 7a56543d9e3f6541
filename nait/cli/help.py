"""The text of `nait run --help`. Groups and options are read from conf/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nait
from nait.core.errors import ConfigError

RECOMMENDED = "nait_contrast"
"""The method for an own pool: its precision is the highest of NAIT's variants in both measured worlds."""
KEYS = """\
  model.path          a model's folder (model=local) or Hub id (model=hf)
  model.max_length    tokens after which texts are truncated, in scoring and training
  data.path           the pool: .jsonl .json .parquet .csv, also .gz or .zst
  target.path         reference rows of the capability that you want
  selector.layers     all | first_half | middle | last_half | last | [1,2,3]
  selector.site       residual | mlp | mlp_out | attn_out
  selector.feature    delta | mean | last | mean_delta
  selector.similarity dot | cosine
  budget.ratio        share of the pool; or budget=count budget.count=500, budget=tokens budget.tokens=1e6
  train.epochs        passes over the selected rows
  eval.limit          items per task; eval.mirror=DIR reads benchmarks from a folder in the Hub's layout
  seed                seed of training and of random selection
  stages              [select,train,evaluate,report], or some of them
  paths.store         folder of the artifacts; stored artifacts are not computed again
"""

EXAMPLES = """\
  # the best 10 % of your pool for your target; shorter: nait select pool.jsonl --like reference.jsonl --model MODEL
  nait run 'stages=[select]' model=local model.path=MODEL data=file data.path=pool.jsonl \\
       target=file target.path=reference.jsonl budget.ratio=0.1

  # NAIT against random: select, fine-tune, evaluate, leaderboard
  nait run -m selector=nait,random seed=0,1,2 model=local model.path=MODEL data=file data.path=pool.jsonl \\
       target=file target.path=reference.jsonl eval=mmlu_gsm8k_bbh eval.mirror=DIR

  # show the config of a run, or one group of it
  nait run --cfg job --package selector
"""


def conf_folder() -> Path:
    """The folder of the config groups, in a clone or in an installed wheel."""
    import nait.conf

    return Path(str(nait.conf.__file__)).parent


def option_settings(group: str, option: str) -> dict[str, Any]:
    """The settings in the file of an option and of the options that it extends; {} for an unknown one."""
    import yaml

    file = conf_folder() / group / f"{option}.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
    found: dict[str, Any] = {}
    for base in content.pop("defaults", ()):
        found |= option_settings(group, base) if isinstance(base, str) and base != "_self_" else {}
    return found | content


def groups() -> dict[str, list[str]]:
    """Every config group and its options."""
    found: dict[str, list[str]] = {}
    for path in sorted(conf_folder().glob("*/*.yaml")):
        found.setdefault(path.parent.name, []).append(path.stem)
    return found


def replace_null(arguments: Sequence[str]) -> list[str]:
    """The arguments, with `GROUP=null` replaced by `GROUP=none`, also in a sweep's list.

    Hydra accepts only names there. Raises: ConfigError for a group without the option `none`.
    """
    options = groups()

    def read(argument: str) -> str:
        group, _, value = argument.partition("=")
        known, given = options.get(group.split("@")[0], []), [one.strip() for one in value.split(",")]
        if not known or "null" not in given:
            return argument
        if "none" not in known:
            fix = f"Remove it, or choose {', '.join(known)}."
            raise ConfigError("there is no option 'null'", where=group, fix=fix)
        return f"{group}={','.join('none' if one == 'null' else one for one in given)}"

    return [read(argument) for argument in arguments]


def help_text() -> str:
    """The help text: groups with their options, the most used keys, examples."""
    options = "\n".join(f"  {group:<12} {' | '.join(names)}" for group, names in groups().items())
    return (
        f"nait {nait.__version__}: which small part of an instruction pool makes a model better, "
        "at what cost, and is the gain real?\n\n"
        "Usage: nait run [-m] [GROUP=OPTION ...] [KEY=VALUE ...]     -m runs every combination of comma lists\n"
        "The demo, on two cores and without network: nait run experiment=quickstart\n\n"
        f"Groups and options\n{options}\n\nKeys\n{KEYS}\nExamples\n{EXAMPLES}"
    )
