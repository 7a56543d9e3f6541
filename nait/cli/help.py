"""What `nait --help` says, read from conf/ itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nait
from nait.core.errors import ConfigError

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
        "Usage: nait [-m] [GROUP=OPTION ...] [KEY=VALUE ...]     -m runs every combination of comma lists\n"
        "The demo, on two cores and without network: nait experiment=quickstart\n\n"
        f"Groups and options\n{options}\n\nKeys\n{KEYS}\nExamples\n{EXAMPLES}"
    )
