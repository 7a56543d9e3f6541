"""What a newcomer types: each mistake gets one message that says what to type, or is taken for what it means."""

from __future__ import annotations

import importlib.util
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

import nait.cli.config.resolvers  # noqa: F401  # registers them
from nait.cli.command.command_line import hydra_line, split
from nait.cli.command.config_errors import explain, unresolved
from nait.cli.command.config_groups import loader_of
from nait.cli.command.own_pool import renamed
from nait.cli.command.parameter_types import fit
from nait.cli.command.quoting import readable
from nait.cli.config.plain_config import resolve
from nait.cli.selection.exported_rows import place_for
from nait.cli.subcommands.main_app import work_of
from nait.core.errors import ConfigError, NaitError
from nait.data.pools import read_pool
from nait.nano.pools import nano_pool
from tests.app.commands import Run, manifests


def composed(*arguments: str) -> Any:
    """The config of a command line as a run has it. Raises: ConfigError with the message of the command line."""
    line = split(arguments)
    loader = loader_of(line.flags.config_dir)
    try:
        line = hydra_line(line, loader)
        return loader.load_configuration("run", line.words, run_mode=RunMode.RUN)
    except HydraException as error:
        raise ConfigError(explain(error, line.words, loader)) from error


def typed(*arguments: str) -> Any:
    """The same as plain values that fit their parameters."""
    return fit(plain(composed(*arguments, "paths.run=here")), "")


def plain(config: Any) -> dict[str, Any]:
    """The config of a job as a plain dict, without Hydra's own."""
    keys = [key for key in config if key != "hydra"]
    made = OmegaConf.to_container(OmegaConf.masked_copy(config, keys), resolve=True)
    assert isinstance(made, dict)
    return {str(key): value for key, value in made.items()}


NAMES = [
    "$HOME.jsonl",
    "100%_r.jsonl", "a b.jsonl", "b\\s.jsonl", "c(1).jsonl", "epoch=3-step=10.jsonl", 'it\'s "q".jsonl',
    "k:v.jsonl", "me@x.jsonl", "p+q.jsonl", "part#1.jsonl", "x[1].jsonl", "{y}.jsonl", "[z].jsonl", "数据集.jsonl",
    "é ü.jsonl", "a&b;c.jsonl", "!x?.jsonl", "<x>|y.jsonl", "a`b`.jsonl", "2024", "true", "1e3", "007",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_taken_as_typed(name: str) -> None:
    within = f"/some where/{name}"
    config = composed("data=file", f"data.path={name}", "target=file", f"target.path={within}")
    assert (config.data.path, config.target.path) == (name, within)


def test_a_path_in_a_dict_is_taken_as_typed() -> None:
    (word,) = readable(["target.paths={a: /some where/part#1.jsonl, b: b.jsonl}"])
    expected = {"a": "/some where/part#1.jsonl", "b": "b.jsonl"}
    assert composed("target=files", word).target.paths == expected


@pytest.mark.parametrize(
    ("name", "taken"),
    [("my set", "my set"), ("'my set'", "my set"), ('"a=b"', "a=b"), ("'a=b, c: (d) [e]'", "a=b, c: (d) [e]"),
     ("'a\\b'", "a\\b"), ("'7'", "7"), ("' x '", " x ")],
)  # fmt: skip
def test_a_quoted_name_in_a_dict_is_taken_as_typed(name: str, taken: str) -> None:
    """Hydra's grammar has no quotes around the names of a dict."""
    for key, options in (("target.paths", ["target=files"]), ("selector.only", ["selector=scores"])):
        (word,) = readable([f"{key}={{{name}: x, b: 'y z'}}"])
        config = plain(composed(*options, "paths.run=here", word))
        group, _, last = key.partition(".")
        assert {str(one): value for one, value in config[group][last].items()} == {taken: "x", "b": "y z"}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "target.paths={a=b: x.jsonl}",
            "target.paths: the name a=b in '{a=b: x.jsonl}' has a '='. A dict has colons: "
            "'target.paths={a: b: x.jsonl}'. If it belongs to the name, quote the name: "
            "'target.paths={\"a=b\": x.jsonl}'.",
        ),
        ("target.paths={a=hf:x}", "If it belongs to the name, quote the name"),
        (
            "selector.only={Qualität: gut}",
            "selector.only: the name Qualität has ä, which a name in braces cannot have. "
            "Choose another name, or write selector.only in a YAML file.",
        ),
        (
            "report.benchmarks={math: [x], 'a&b#': [y]}",
            "the name 'a&b#' has & #, which a name in braces cannot have.",
        ),
        ("eval.num_fewshot={'1e3': 2}", "the name '1e3' has a form that a name in braces cannot have."),
        (
            "target.paths={a=x.jsonl, b=y.jsonl}",
            "A dict has colons: 'target.paths={a: x.jsonl, b: y.jsonl}'.",
        ),
        ("target.paths={a: x.jsonl", "Close every bracket and quote"),
    ],
)
def test_a_name_in_a_dict_that_cannot_be_read_is_named_with_the_cause(word: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        readable([word])
    assert said in str(caught.value)
    if "Close every" not in said:
        assert "Close every" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("target.paths.my set=x.jsonl", "target.paths.my set: a key cannot have this name on the command line. "
         "Type 'target.paths={my set: x.jsonl}'."),
        ("selector.only.a,b=3", "Type 'selector.only={\"a,b\": 3}'."),
        ("target.paths.nöte=x.jsonl", "Choose another name, or write it in a YAML file."),
        ("größe=3", "größe: a key cannot have this name"),
        ("seed =3", "Type seed=3."),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_read_is_answered_with_what_to_type(word: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        readable([word])
    assert said in str(caught.value)


def test_a_tilde_is_the_home_folder_in_every_path_and_else_a_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config = composed(
        "data=file", "data.path=~/x.jsonl", "target=files", "target.paths={a: ~/a.jsonl}", "eval=gsm8k",
        "eval.mirror=~/mirror", "eval.include=[~/tasks]", "paths.store=~/store", "paths.runs=~/runs", "model=local",
        "model.path=~/model", "label=~me",
    )  # fmt: skip
    at = str(tmp_path)
    assert config.data.path == f"{at}/x.jsonl"
    assert config.target.paths == {"a": f"{at}/a.jsonl"}
    assert (config.eval.mirror, list(config.eval.include)) == (f"{at}/mirror", [f"{at}/tasks"])
    assert (config.paths.store, config.paths.runs) == (f"{at}/store", f"{at}/runs")
    assert (config.model.path, config.label) == (f"{at}/model", "~me")
    assert composed("data=file", "data.path=~t.jsonl").data.path == f"{at}/~t.jsonl"


def test_a_comma_in_the_name_of_an_existing_file_does_not_make_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a,b.jsonl").touch()
    assert composed("data=file", "data.path=a,b.jsonl").data.path == "a,b.jsonl"
    with pytest.raises(ConfigError) as caught:
        composed("data=file", "data.path=c,d.jsonl")
    said = str(caught.value)
    assert "several values. To run each, add -m." in said
    offered = said.split("As one text: ")[1].rstrip(".")
    (argument,) = shlex.split(offered)
    assert composed("data=file", argument).data.path == "c,d.jsonl"


def test_several_paths_with_such_letters_are_still_a_sweep() -> None:
    assert readable(["data.path=a#1.jsonl,b(2).jsonl"]) == ["data.path='a#1.jsonl','b(2).jsonl'"]


TAKEN: list[tuple[list[str], str, Any]] = [
    (["budget.ratio=10%"], "budget.ratio", 0.1),
    (["budget.ratio=7 %"], "budget.ratio", 0.07),
    (["budget=10%"], "budget.ratio", 0.1),
    (["budget=0.2"], "budget.ratio", 0.2),
    (["budget=500"], "budget.count", 500),
    (["order=from_quantile", "order.q=33%"], "order.q", 0.33),
    (["beside=nait"], "beside", "nait"),
    (["eval.tasks=gsm8k"], "eval.tasks", ["gsm8k"]),
    (["eval.include=tasks"], "eval.include", ["tasks"]),
    (["tracking.tags=1"], "tracking.tags", ["1"]),
    (["tracking.tags=[1,a]"], "tracking.tags", ["1", "a"]),
    (["tracking.group=1"], "tracking.group", "1"),
    (["tracking.project=2024"], "tracking.project", "2024"),
    (["tracking.entity=7"], "tracking.entity", "7"),
    (["group=1e3"], "group", "1e3"),
    (["label=007"], "label", "007"),
    (["label=true"], "label", "true"),
    (["label=null"], "label", None),
    (["data.name=1"], "data.name", "1"),
    (["label=a#b"], "label", "a#b"),
    (["eval=mmlu_gsm8k_bbh", "eval.num_fewshot={gsm8k: 8}"], "eval.num_fewshot", {"mmlu": 5, "gsm8k": 8}),
    (["eval=mmlu", "eval.num_fewshot.gsm8k=8"], "eval.num_fewshot", {"mmlu": 5, "gsm8k": 8}),
    (["eval=gsm8k", "eval.num_fewshot={gsm8k: 8}"], "eval.num_fewshot", {"gsm8k": 8}),
    (["eval=gsm8k", "eval.primary={own: acc}"], "eval.primary",
     {"own": "acc", "gsm8k": "exact_match/flexible-extract"}),
    (["report.benchmarks={math: gsm8k}"], "report.benchmarks", {"math": "gsm8k"}),
    (["data=file", "data.path=x", "data.columns={instruction: my col#1}"], "data.columns",
     {"instruction": "my col#1"}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "key", "value"), TAKEN, ids=[" ".join(one[0]) for one in TAKEN])
def test_what_can_be_meant_in_one_way_is_taken(words: list[str], key: str, value: Any) -> None:
    found: Any = typed(*words)
    for part in key.split("."):
        found = found[part]
    assert found == value
    assert type(found) is type(value)


ANSWERED: list[tuple[list[str], list[str]]] = [
    (
        ["select", "pool.jsonl"],
        ["select pool.jsonl", "data=file data.path=pool.jsonl target=file target.path="],
    ),
    (["pool.jsonl"], ["data=file data.path=pool.jsonl"]),
    (["list"], ["nait --help", "nait-leaderboard"]),
    (["doctor"], ["plan=true"]),
    (["quickstart"], ["Did you mean experiment=quickstart?"]),
    (["rds"], ["Did you mean selector=rds?"]),
    (["selector"], ["selector is one of: alpagasus, base, full"]),
    (["frobnicate"], ["nait run --help"]),
    (["seed", "=", "1"], ["there is a space next to '='"]),
    (["--top", "10%"], ["--top: there is no such flag", "budget.ratio=0.1"]),
    (["--seed=1"], ["Values have no dashes", "seed=1"]),
    (["--cfg", "jobb"], ["--cfg", "'job'"]),
    (["--experimental-rerun", "x.pickle"], ["pickled configs are not read"]),
    (["--config-dir", "nowhere"], ["nowhere", "no such folder"]),
    (["model.path=M"], ["model.path: model=nano has no such key. It needs model=gguf, hf or local."]),
    (["data.path=p.jsonl"], ["data.path: data=nano has no such key. It needs data=file or hub."]),
    (["target.path=p.jsonl"], ["target.path: target=nano has no such key. It needs target=file or hub."]),
    (["target.paths={a: b}"], ["target.paths", "It needs target=directions or files."]),
    (
        ["train.gradient_accumulation=8"],
        ["train.gradient_accumulation", "Multiply the two", "train.device_tokens"],
    ),
    (["gradient_accumulation_steps=4"], ["train.batch_size is its number of rows"]),
    (
        ["selector=less", "selector.warmup.micro_batch_size=8"],
        ["selector.warmup.batch_size is its number of rows"],
    ),
    (["budget.count=40"], ["budget.count: budget=ratio has no such key. It needs budget=count."]),
    (["order.q=0.3"], ["order.q: order=highest has no such key. It needs order=from_quantile."]),
    (
        ["train=none", "train.lora.r=4"],
        ["train.lora.r: train=none has no such key. It needs train=lora, nano or qlora."],
    ),
    (["selector=random", "selector.layers=[1]"], ["selector=random has no such key", "nait_contrast"]),
    (["layers=[1]"], ["Did you mean 'selector.layers'?"]),
    (["ratio=0.1"], ["Did you mean 'budget.ratio'?"]),
    (["epochs=2"], ["Did you mean 'train.epochs'?"]),
    (["budget.cuont=40"], ["Did you mean 'budget.count'?"]),
    (["sede=1"], ["Did you mean 'seed'"]),
    (["selector=nate"], ["selector=nate: there is no such option. Did you mean 'nait'"]),
    (["selector="], ["selector"]),
    (["hydra/launcher=submitit_slrm"], ["hydra/launcher=submitit_slrm", "pip install 'nait[slurm]'"]),
    (["selector=nait,random"], ["several values. To run each, add -m."]),
    (["selector.layers=1,2"], ["add -m", "'selector.layers=[1,2]'"]),
    (["selector.layers=[1,2"], ["selector.layers", "cannot be read", "'selector.layers=[1,2]'"]),
    (["~sede"], ["Did you mean 'seed'"]),
    (["budget=ratios"], ["Did you mean 'ratio'?"]),
    (["budget=1"], ["budget=1: there is no such option"]),
    (["data=file", "data.path=x.csv", "data.header=false"], ["add a line of names above the rows"]),
    (["data.shuffle=true"], ["selector=random and another seed=N"]),
    (["data=file", "data.path=x", "data.strict=false"], ["data.on_bad=skip skips and counts"]),
    (["prompt_template=alpaca"], ["Such as template=alpaca"]),
    (["tracking=files", "tracking.project=x"], ["It needs tracking=wandb."]),
    (["-p"], ["-p", "works only with --cfg", "plan=true"]),
    (["-p", "selector=rds"], ["-p selector=rds: ", "works only with --cfg"]),
    (["--plan"], ["Values have no dashes: plan=true."]),
    (["--help-all"], ["nait run --help", "nait --cfg job"]),
    (["--like", "r.jsonl"], ["target=file target.path=REFERENCE_FILE"]),
    (["+experiment=quickstart"], ["Type experiment=quickstart."]),
    (["++selector=rds"], ["Type selector=rds."]),
    (["+experiment=quick"], ["Did you mean 'quickstart'"]),
    (["experiment=rds"], ["Did you mean selector=rds?"]),
    (["selector=gsm8k"], ["Did you mean eval=gsm8k or target=gsm8k?"]),
    (["eval=gsm8k5"], ["Type eval=gsm8k eval.num_fewshot=5."]),
    (["train.output_dir=x"], ["Did you mean 'paths.runs'?"]),
    (["CUDA_VISIBLE_DEVICES=0"], ["typed before the command: CUDA_VISIBLE_DEVICES=VALUE nait"]),
    (["-c", "my.yaml"], ["--config-dir FOLDER experiment=NAME"]),
    (["-o", "x"], ["paths.runs=FOLDER"]),
    (["-v"], ["hydra.verbose=true"]),
    (["template={user}"], ["template=file template.path=FILE"]),
    (["order=reverse"], ["Type order=lowest."]),
    (["eval=gsm8k,mmlu"], ["eval=lm_eval 'eval.tasks=[gsm8k,mmlu]'"]),
    (["train.seed=1"], ["Did you mean 'seed'?"]),
    (["model.batch_size=8"], ["engine.batch_tokens=N", "train.batch_size=N"]),
    (["selector.batch_size=8"], ["engine.batch_tokens=N"]),
    (["data.num_workers=4"], ["Nothing is needed"]),
    (["selector.target=math"], ["target=nano 'target.capabilities=[math]'"]),
    (["selector.budget=0.1"], ["Did you mean 'budget.ratio'?"]),
    (["train.device=cuda"], ["Did you mean 'model.device'?"]),
    (["order=best"], ["Type order=highest"]),
    (["order=worst"], ["Type order=lowest."]),
    (["budget=half"], ["Type budget=50%."]),
    (["budget=a quarter of the pool"], ["Type budget=25%."]),
    (["--multirun=true"], ["the flag takes no value", "Type --multirun alone"]),
    (["seed=0,", "1,", "2"], ["-m seed=0,1,2 runs each"]),
    (["-m", "seed=0", "1", "2"], ["-m seed=0,1,2 runs each"]),
    (["-m", "selector=nait,", "random"], ["-m selector=nait,random runs each"]),
    (["selector=nait", "rds"], ["-m selector=nait,rds runs each"]),
    (["train.fsdp=true"], ["train.sharding=fsdp"]),
    (["train.deepspeed=ds.json"], ["train.sharding=fsdp"]),
    (["stages=[select", "train]"], ["Quote it: 'stages=[select,train]'."]),
    (["stages=select,train"], ["As a list: 'stages=[select,train]'."]),
    (["selct", "pool.jsonl"], ["Did you mean 'select'?", "nait select POOL --like REF"]),
    (["top=10%"], ["Did you mean 'budget.count'?", "A share of the pool: budget=10%."]),
    (["tracking=wandb", "tracking.name=x"], ["Did you mean 'label'?"]),
    (["tracking=wandb", "tracking.key=x"], ["WANDB_API_KEY=KEY before the command"]),
    (["train.full=true"], ["train=full"]),
    (["train.packing=true"], ["Rows are never packed"]),
    (["train.eval_steps=10"], ["A run evaluates once, after training"]),
    (["model.tokenizer=x"], ["The tokenizer is the one in the folder of the model"]),
    (["order=descending_score"], ["Type order=highest."]),
    (["label="], ["label: is empty", "remove label=."]),
    (["seed="], ["seed: is empty"]),
    (["tracking.tags="], ["tracking.tags: is empty"]),
]


@pytest.mark.parametrize(("words", "said"), ANSWERED, ids=[" ".join(one[0]) for one in ANSWERED])
def test_every_other_mistake_is_answered_with_what_to_type(words: list[str], said: list[str]) -> None:
    if "submitit" in words[0] and importlib.util.find_spec("hydra_plugins.hydra_submitit_launcher"):
        pytest.skip("the launcher is installed here")
    with pytest.raises(NaitError) as caught:
        composed(*words)
    message = str(caught.value)
    for part in said:
        assert part in message
    for foreign in ("hydra.cc", "LexerNoViable", "Exception", "EOF", "struct", "HYDRA"):
        assert foreign not in message
    key = words[0].partition("=")[0]
    assert f"Did you mean '{key}'" not in message


def test_a_seed_that_is_written_as_a_fraction_draws_the_same_rows() -> None:
    for words in (["seed=1.0"], ["selector.seed=1.0"], ["seed=1e0"]):
        made = composed("selector=random", "model=nano", "paths.run=here", *words)
        config = resolve(OmegaConf.masked_copy(made, [key for key in made if key != "hydra"]))
        assert repr(config["selector"]["seed"]) == "1"
        assert repr(config["seed"]) == ("0" if words[0].startswith("selector") else "1")


WRONG: list[tuple[str, list[str]]] = [
    (
        "reference_template=plain",
        ["reference_template: 'plain' is a value", "'+template@reference_template=OPTION'"],
    ),
    ("train.lora=4", ["train.lora: '4' is a value, and this has keys of its own"]),
    ("budget.ratio=abc", ["budget.ratio: 'abc' is not a number"]),
    ("budget.ratio=1/3", ["Type budget.ratio=0.3333333333333333."]),  # 0.333333 of 300 rows are 99
    ("model.max_length=long", ["model.max_length: 'long' is not a whole number"]),
    ("train.epochs=[1,2]", ["train.epochs", "is not a number"]),
    ("train.deterministic=1", ["Set train.deterministic=true or train.deterministic=false."]),
    ("selector.center=yes", ["selector.center: 'yes' is not true or false"]),
    ("selector.components=1.5", ["selector.components: '1.5' is not a whole number"]),
    ("eval.primary=acc", ["Write 'eval.primary={name: value}'."]),
    ("eval.num_fewshot=[1]", ["is not a whole number or a dict"]),
    ("train.lora.r=x", ["train.lora.r: 'x' is not a whole number"]),
    ("data.size=big", ["data.size: 'big' is not a whole number"]),
    ("+selector.layer=[1]", ["selector.layer: there is no such key. Did you mean 'layers'"]),
    ("+train.gradient_accumulation=4", ["train.batch_size is its number of rows"]),
    ("+train.lora.rank=4", ["train.lora.rank: there is no such key"]),
    ("target.rows=10%", ["target.rows: '0.1' is not a whole number", "a number of rows, not a share"]),
    ("budget.ratio=", ["Type budget.ratio=VALUE, or remove budget.ratio=."]),
    ("eval.limit=all", ["Type eval.limit=null for all, or a number."]),
    ("tracking.project=[a]", ["tracking.project: '['a']' is not text"]),
]


@pytest.mark.parametrize(("word", "said"), WRONG, ids=[one[0] for one in WRONG])
def test_a_value_of_the_wrong_kind_is_named_by_its_whole_key(word: str, said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        typed(word)
    for part in said:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("selector", "key", "group"),
    [
        ("random_length_matched", "like", "+selector"), ("rds", "template", "+template"),
        ("less", "template", "+template"), ("less", "warmup", "train"), ("ifd_cherry", "template", "+template"),
        ("selectit", "template", "+template"),
    ],
)  # fmt: skip
def test_a_name_for_a_part_of_a_selector_is_answered_with_how_to_choose_it(
    selector: str, key: str, group: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        typed(f"selector={selector}", f"selector.{key}=rds")
    message = str(caught.value)
    assert f"selector.{key}: 'rds' is a value, and this has keys of its own" in message
    assert f"'{group}@selector.{key}=OPTION'" in message


def test_a_length_matched_control_of_any_selector_is_one_word() -> None:
    words = ["selector=random_length_matched", "+selector@selector.like=rds"]
    like = typed(*words)["selector"]["like"]
    assert like["_target_"] == "nait.baselines.rds.Rds"
    assert "name" not in like


OPTIONS: list[tuple[list[str], str]] = [
    (["select", "p.jsonl", "--target", "r.jsonl"], "Type --like REF."),
    (["select", "--pool", "p.jsonl"], "The pool is the first word: nait select POOL."),
    (["select", "p.jsonl", "-n", "10"], "Type --rows N."),
    (["select", "p.jsonl", "-o", "b.jsonl"], "Type --out FILE."),
    (["select", "p.jsonl", "--selector", "rds"], "Type --method NAME."),
    (["compare", "p.jsonl", "--method", "rds"], "Type --methods A,B."),
    (["select", "p.jsonl", "--dry-run"], "Type --plan."),
    (["select", "p.jsonl", "--seed", "1"], "Keys of a run follow without dashes: seed=VALUE."),
    (["select", "p.jsonl", "--on-bad", "skip"], "data.on_bad=VALUE"),
    (["select", "p.jsonl", "--device=cuda"], "model.device=VALUE"),
    (["select", "p.jsonl", "--batch-size", "8"], "engine.batch_tokens=N"),
    (["select", "p.jsonl", "--lr", "1"], "train.learning_rate=VALUE"),
    (["select", "p.jsonl", "--frobnicate"], "See nait select --help."),
]


@pytest.mark.parametrize(("arguments", "said"), OPTIONS, ids=[" ".join(one[0]) for one in OPTIONS])
def test_an_option_that_a_command_lacks_is_answered_with_what_to_type(
    arguments: list[str], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        work_of(arguments)
    assert said in str(caught.value)
    assert "Did you mean" not in str(caught.value)


SHORT: list[tuple[list[str], str]] = [
    (["select", "p.jsonl", "r.jsonl", "--model", "nano"], "References are --like REF, a model is --model M."),
    (["select", "p.jsonl", "--like", "r", "--model", "nano", "--method", "similarity"], "Type --method rds."),
    (["compare", "p.jsonl", "--like", "r", "--methods", "nait rds"], "Type --methods nait,rds"),
    (
        ["compare", "p.jsonl", "r.jsonl", "--model", "nano"],
        "r.jsonl: only the pool is named without an option",
    ),
    (
        ["select", "p.jsonl", "--like", "r", "--model", "nano", "--out", "b.xlsx"],
        "'.xlsx' is not a format for rows",
    ),
]


@pytest.mark.parametrize(("arguments", "said"), SHORT, ids=[" ".join(one[0]) for one in SHORT])
def test_a_short_command_is_refused_before_any_work(arguments: list[str], said: str) -> None:
    work = work_of(arguments)
    with pytest.raises(ConfigError) as caught:
        work()
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["pool.jsonl", "ref.jsonl"])
def test_the_selected_rows_never_replace_a_file_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for one in ("pool.jsonl", "ref.jsonl"):
        Path(one).write_text(json.dumps({"prompt": "q", "completion": "a"}) + "\n")
    with pytest.raises(ConfigError, match="is a file that the selection reads"):
        work_of(["select", "pool.jsonl", "--like", "ref.jsonl", "--model", "nano", "--out", f"./{name}"])()
    with pytest.raises(ConfigError, match="is a file that the selection reads"):
        place_for("pool.jsonl", read_pool("pool.jsonl"))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_generator_takes_is_refused_before_a_model_is_loaded(seed: int) -> None:
    with pytest.raises(ConfigError, match="Give a whole number from 0 to 4,294,967,295"):
        resolve(OmegaConf.create({"seed": seed}))


def test_the_values_of_every_default_are_left_as_they_are() -> None:
    values = plain(composed("paths.run=here"))
    assert repr(fit(values, "")) == repr(values)


def test_without_a_word_there_is_help_with_the_demo(nait: Run, tmp_path: Path) -> None:
    done = nait(bare=True)
    assert done.returncode == 0
    assert "nait run experiment=quickstart" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sweep", [[], ["-m", "selector=random,length"]], ids=["one job", "a sweep"])
def test_an_own_pool_is_never_paired_with_the_embedded_world_by_default(
    nait: Run, home: Path, tmp_path: Path, sweep: list[str]
) -> None:
    own = ["data=file", f"data.path={home / 'pool.jsonl'}", "stages=[select]", "tracking=files", *sweep]
    done = nait(*own, bare=True)
    assert done.returncode == 2
    for part in (
        "target=file target.path=",
        "target=none",
        "target=nano",
        "model=local model.path=",
        "model=nano",
    ):
        assert part in done.stderr
    assert len([line for line in done.stderr.splitlines() if "the pool is your own" in line]) == 1
    assert not manifests(tmp_path)


def test_what_the_user_names_is_asked_for_on_the_line_or_in_a_file(
    nait: Run, home: Path, tmp_path: Path
) -> None:
    own = [
        "data=file",
        f"data.path={home / 'pool.jsonl'}",
        "stages=[select]",
        "tracking=files",
        "selector=length",
    ]
    assert nait(*own, "target=none", "model=nano", bare=True).returncode == 0
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "own.yaml").write_text(
        "# @package _global_\n# Mine.\ndefaults:\n  - override /target: none\n  - override /model: nano\n"
    )
    done = nait("--config-dir", "mine", "experiment=own", *own, bare=True)
    assert done.returncode == 0, done.stderr


def test_the_key_beside_accepts_one_name(nait: Run) -> None:
    done = nait("selector=random", "beside=nait", "stages=[select]")
    assert done.returncode == 0, done.stderr


def test_a_folder_that_cannot_be_made_is_named_with_its_key(nait: Run, tmp_path: Path) -> None:
    (tmp_path / "full").write_text("a file")
    done = nait("paths.runs=full/runs", "stages=[select]")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "paths.runs=FOLDER" in done.stderr


def test_a_pool_without_answers_is_refused_before_a_model_is_opened(nait: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text('{"instruction": "a", "output": ""}\n' * 3)
    done = nait(f"data.path={tmp_path / 'empty.jsonl'}", "stages=[select]")
    assert done.returncode == 2
    assert "none of its 3 rows has an answer" in done.stderr
    assert "Opening" not in done.stderr


def test_one_label_column_judges_a_selection_and_a_name_with_a_dollar_is_drawn(
    nait: Run, tmp_path: Path
) -> None:
    rows = [
        {"instruction": f"Do {i}", "output": f"{i} done", "kind": ["$x^$", "b_{"][i % 2]} for i in range(20)
    ]
    (tmp_path / "kinds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = nait(
        "-m", "selector=random,length", f"data.path={tmp_path / 'kinds.jsonl'}", "truth=columns", "truth.family=kind",
        "target.name=$x^$", "stages=[select,report]", "traits=topics", "label=$a_$",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no column 'skill' (truth.skill)" in done.stderr
    assert {one["truth"]["base_rate"] for one in manifests(tmp_path)} == {0.5}
    (page,) = (tmp_path / "runs").rglob("report.html")
    assert "$x^$" in page.read_text()


def message(*arguments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        composed(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_a_multirun_without_overrides_starts_no_job(flag: str) -> None:
    assert "there is nothing to run. The demo is: nait experiment=quickstart" in message(flag)


@pytest.mark.parametrize(
    "word",
    ["hydra.run.dir=", "hydra.sweep.dir=", "data.path=", "model.path= ", "paths.runs=", "paths.store="],
)
def test_an_empty_path_is_never_this_folder(word: str) -> None:
    assert f"{word.partition('=')[0]}: is an empty path" in message("data=file", "model=local", word)


def test_an_empty_path_of_a_file_is_refused_too() -> None:
    with pytest.raises(ConfigError, match=r"data\.path: is an empty path"):
        read_pool("")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("${nope}", "model.path: '${nope}' names no key of the config."),
        ("${oc.env:NAIT_NOT_SET}", "model.path: the environment variable NAIT_NOT_SET is not set."),
        ("${nope:x}", "model.path: '${nope:...}' is not a resolver."),
    ],
)
def test_a_reference_that_leads_nowhere_is_named_by_its_key(value: str, said: str) -> None:
    config = composed("model=local", f"model.path={value}", "paths.run=here")
    with pytest.raises(ConfigError) as caught:
        resolve(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
    assert str(caught.value).startswith(said)


def test_a_key_that_is_added_and_that_nothing_reads_is_refused() -> None:
    assert "+sede: there is no such key. Did you mean 'seed'" in message("+sede=1")
    assert "+mine" in message("+mine.deep=x")


def test_a_value_that_the_shell_has_cut_is_printed_in_quotes() -> None:
    said = message("data=file", "data.columns={prompt:", "question,", "completion:", "answer}", "seed=1")
    assert said.startswith("data.columns: the shell split the value at a space.")
    assert "Quote it: 'data.columns={prompt: question, completion: answer}'." in said


def test_a_group_that_a_run_needs_cannot_be_deleted() -> None:
    assert "~selector: a run needs this group. Choose one: selector=" in message("~selector")


def test_a_tilde_in_a_config_file_is_the_home_folder_or_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    row = '{"instruction": "q", "output": "a"}\n'
    for name in ("t.jsonl", "~t.jsonl"):
        (tmp_path / name).write_text(row)
    monkeypatch.chdir(tmp_path)
    assert len(read_pool("~/t.jsonl")) == len(read_pool("~t.jsonl")) == 1
    folder = tmp_path / "conf" / "paths"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("store: ~/store\nruns: ~/runs\nrun: ${hydra:runtime.output_dir}\n")
    setup_globals()
    config = composed("--config-dir", str(folder.parent), "paths=mine")
    assert str(config.hydra.run.dir).startswith(f"{tmp_path}/runs/")
    assert str(config.hydra.sweep.dir).startswith(f"{tmp_path}/runs/")


def test_a_pool_of_the_world_that_is_too_small_is_named_by_its_key() -> None:
    with pytest.raises(ConfigError, match=r"data\.size: 60 is below 100"):
        nano_pool(size=60)


def test_a_repeated_key_logs_which_value_is_used(caplog: pytest.LogCaptureFixture) -> None:
    config = composed("budget.ratio=0.1", "selector=random", "budget.ratio=0.2", "selector=length", "seed=1")
    assert (config.budget.ratio, config.selector.name) == (0.2, "length")
    assert sorted(caplog.messages) == [
        "nait: budget.ratio is given 2 times: budget.ratio=0.2 is used.",
        "nait: selector is given 2 times: selector=length is used.",
    ]


def test_an_option_that_needs_another_group_s_option_says_which() -> None:
    config = composed("selector=oracle", "data=file", "data.path=a.jsonl")
    with pytest.raises(OmegaConfBaseException) as caught:
        OmegaConf.to_container(OmegaConf.masked_copy(config, ["selector", "data"]), resolve=True)
    assert str(unresolved(caught.value)).startswith("selector.size: needs the key data.size")
    assert "Choose data=nano" in str(unresolved(caught.value))


def test_an_unknown_key_names_the_one_that_still_has_no_value() -> None:
    with pytest.raises(
        ConfigError, match=r"target\.file: there is no such key\..* target\.path has no value yet\."
    ):
        composed("target=file", "target.file=ref.jsonl")


def test_an_option_in_capitals_is_known() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'nait'"):
        composed("selector=NAIT")


def test_a_launcher_without_a_key_of_the_experiment_is_answered_with_the_one_that_has_it() -> None:
    with pytest.raises(ConfigError) as caught:
        composed("experiment=quickstart", "hydra/launcher=basic")
    assert "hydra/launcher=joblib hydra.launcher.n_jobs=1" in str(caught.value)


def test_a_name_on_a_part_of_the_embedded_world_is_a_warning_with_the_option_that_opens_another() -> None:
    builds = {"data": "nait.nano.pools.nano_pool", "model": "nait.nano.pools.nano_model"}
    (warning,) = renamed(builds, {"data": "nano", "model": "gpt2"})
    assert "model=hf model.path=gpt2" in warning
    assert not renamed({**builds, "model": "nait.models.loading.local"}, {"model": "gpt2"})
