"""A newcomer's words for options and keys: each error says what to type, and the words that it names are accepted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from nait.cli.command.advice.key_synonyms import _BY_GROUP, _WORDS, synonym
from nait.cli.command.parameter_types import fit_value
from nait.cli.config.plain_config import KEYS
from nait.core.errors import ConfigError
from nait.core.ranking.budgets import Count
from tests.app.commands import Run
from tests.app.test_mistakes import composed, message, typed

TYPED: list[tuple[str, str]] = [
    ("data=pool.jsonl", "data=file data.path=pool.jsonl"),
    ("data=./pool.csv", "data=file data.path=./pool.csv"),
    ("data=/some/pool.jsonl.gz", "data=file data.path=/some/pool.jsonl.gz"),
    ("data=owner/name", "data=hub data.path=owner/name"),
    ("target=ref.jsonl", "target=file target.path=ref.jsonl"),
    ("target='my ref.jsonl'", "target=file 'target.path=my ref.jsonl'"),
    ("target=[a.jsonl,b.jsonl]", "target=files 'target.paths={a: a.jsonl, b: b.jsonl}'"),
    ("target=[a=b.jsonl,'é f.csv']", "target=files 'target.paths={a_b: a=b.jsonl, _ f: é f.csv}'"),
    ("'target={a: x.jsonl}'", "target=files 'target.paths={a: x.jsonl}'"),
    ("'data=[a.jsonl,b.jsonl]'", "data=file 'data.path=[a.jsonl,b.jsonl]'"),
    ("model=owner/name-0.5B", "model=hf model.path=owner/name-0.5B"),
    ("model=./folder", "model=local model.path=./folder"),
    ("model=/some/folder", "model=local model.path=/some/folder"),
    ("template=llama3", "template=chat"),
    ("template=chatml", "template=chat"),
    ("template=mine.yaml", "template=file template.path=mine.yaml"),
    ("eval=hellaswag", "eval=lm_eval 'eval.tasks=[hellaswag]'"),
    ("eval=gsm8k5", "eval=gsm8k eval.num_fewshot=5"),
    ("eval=mmlu_5shot", "eval=mmlu eval.num_fewshot=5"),
    ("eval=hellaswag-10-shot", "eval=lm_eval 'eval.tasks=[hellaswag]' eval.num_fewshot=10"),
    ("eval=[mmlu,gsm8k]", "eval=lm_eval 'eval.tasks=[mmlu,gsm8k]'"),
    ("eval=none", "'stages=[select,train]'"),
    ("tracking=online", "tracking=wandb tracking.mode=online"),
    ("tracking=off", "tracking=files"),
    ("budget=500rows", "budget=count budget.count=500"),
    ("budget=top10%", "budget=ratio budget.ratio=0.1"),
    ("budget=10k", "budget=count budget.count=10000"),
    ("budget=1.0", "budget=ratio budget.ratio=1.0"),
    ("budget=ratio=0.1", "budget=ratio budget.ratio=0.1"),
    ("selector=ppl", "selector=perplexity"),
    ("selector=loss", "selector=perplexity"),
    ("selector=embedding", "selector=rds"),
    ("data=hf", "data=hub data.path=OWNER/NAME"),
    ("data=csv", "data=file data.path=POOL_FILE"),
    ("model=huggingface", "model=hf model.path=OWNER/NAME"),
    ("order=desc", "order=highest"),
]


@pytest.mark.parametrize(("word", "said"), TYPED, ids=[one[0] for one in TYPED])
def test_a_value_of_a_recognised_kind_is_answered_with_the_words_for_it(word: str, said: str) -> None:
    (given,) = shlex.split(word)
    assert f"Type {said}" in message(given)
    assert composed(*shlex.split(said))  # what the error names composes


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("selector=NAIT", "Did you mean 'nait'?"),
        ("selector=RDS+", "Did you mean 'rds'?"),
        ("selector=nait-contrast", "Did you mean 'nait_contrast'?"),
        ("selector=IFD", "'ifd_cherry' or 'ifd_cherry_warmup' or 'ifd_q2q' or 'ifd_superfiltering'?"),
        ("contamination=off", "Did you mean 'none'?"),
        ("sweep=method", "Did you mean 'methods'?"),
        ("sweep=lr", "add -m and several values"),
        ("model=llama2", "Did you mean 'llama2_13b' or 'llama2_7b'?"),
        ("model=Qwen2.5-7B", "Did you mean 'qwen2_5_7b'?"),
        ("model=phi4", "model=hf model.path=OWNER/NAME"),
        ("data=alpaca-gpt4", "Did you mean 'alpaca_gpt4'?"),
        ("target=openai/gsm8k", "target=hub target.path=openai/gsm8k"),
        ("data=pool", "data=file data.path=POOL_FILE"),
        ("target=math", "target=nano 'target.capabilities=[math]'"),
        ("target=ledgers", "target=file target.path=REFERENCE_FILE"),
        ("data=file data.path=x", "quote each word alone"),
        ("train.epochs", "Give it a value: train.epochs=VALUE."),
        ("seed", "Give it a value: seed=VALUE."),
        ("version", "nait --version"),
    ],
)
def test_a_slip_in_an_option_or_a_word_is_answered_with_the_nearest(word: str, said: str) -> None:
    assert said in message(word)


@pytest.mark.parametrize("word", ["eval=gsm8", "eval=gsmk"])
def test_a_misspelt_benchmark_is_answered_with_the_nearest_option(word: str) -> None:
    assert "Did you mean 'gsm8k'?" in message(word)


OWN = ["data=file", "data.path=pool.jsonl"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*OWN, "data.columns=prompt:q,completion:a"], "data.columns={prompt: q, completion: a}"),
        ([*OWN, "data.columns={prompt=q}"], "data.columns={prompt: q}"),
        (["budget.ratio=0,1"], "budget.ratio=0.1"),
        (["selector=nait,"], "selector=nait"),
        (["selector: nait"], "selector=nait"),
        (["budget=count", "budget.count=0.1"], "budget=ratio budget.ratio=0.1"),
        (["target=files", "target.paths=[a.jsonl,b.csv.gz]"], "target.paths={a: a.jsonl, b: b.csv.gz}"),
        (["target=files", "target.paths=a.jsonl"], "target.paths={a: a.jsonl}"),
    ],
)
def test_a_value_in_another_notation_is_written_as_it_should_be(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        typed(*words)
    assert said in str(caught.value)
    fixed = [said] if "{" in said else shlex.split(said)
    assert typed(*[word for word in words[:-1] if "=" in word], *fixed)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data/file=pool.jsonl"], "Type data=file, and its keys as data.path=VALUE."),
        (["data=hub", "data.config=main"], "Did you mean 'data.subset'?"),
        (["selector=nait;budget=count"], "Several words are in one: put a space between them"),
    ],
)
def test_words_in_another_order_are_answered(words: list[str], said: str) -> None:
    assert said in message(*words)


@pytest.mark.parametrize(
    "columns", ['{"prompt": "my q", "completion": "a"}', "{'prompt':'my q','completion':'a'}"]
)
def test_a_dict_may_be_written_as_json(columns: str) -> None:
    assert typed(*OWN, f"data.columns={columns}")["data"]["columns"] == {"prompt": "my q", "completion": "a"}


def test_a_given_path_is_not_reported_missing() -> None:
    assert "no value yet" in message("data=file", "data.colum=x")
    assert "no value yet" not in message(*OWN, "data.colum=x")


def test_a_count_with_an_exponent_is_answered_with_the_number() -> None:
    with pytest.raises(ConfigError, match=r"Write budget\.count=1000\."):
        Count(1e3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["+budget.count=5"], "budget=ratio has no such key. It needs budget=count."),
        (["+data.path=x"], "data=nano has no such key. It needs data=file or hub."),
    ],
)
def test_an_added_key_of_another_option_is_answered_with_the_option(words: list[str], said: str) -> None:
    assert said in message(*words)
    assert composed("budget=count", "++budget.count=5").budget.count == 5


@pytest.mark.parametrize("word", ["selector=nait,Random", "model=own/a,own/b", "data=a.jsonl,b.jsonl"])
def test_each_value_of_a_sweep_is_checked(word: str) -> None:
    assert "there is no such option" in message("-m", word)
    assert "there is no such option" in message(word)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("train.lr=1e-4", "Did you mean 'train.learning_rate'?"),
        ("lr=1e-4", "Did you mean 'train.learning_rate'?"),
        ("train.num_train_epochs=3", "Did you mean 'train.epochs'?"),
        ("train.lora.rank=8", "Did you mean 'train.lora.r'?"),
        ("train.bs=8", "Did you mean 'train.batch_size'?"),
        ("data.sep=x", "Did you mean 'data.separator'?"),
        ("output_dir=out", "Did you mean 'paths.runs'?"),
        ("gpu=0", "Did you mean 'model.device'?"),
        ("wandb=online", "Did you mean 'tracking.mode'? It is offline, online or disabled; tracking=files"),
        ("wandb.project=p", "Did you mean 'tracking.project'?"),
        ("budget.size=5", "Did you mean 'budget.count'? It needs budget=count."),
        ("target.shots=5", "Did you mean 'target.rows'?"),
        ("data.max_samples=5", "Did you mean 'data.limit'? It needs data=file or hub."),
        ("name=x", "Did you mean 'label', 'data.name', 'model.name' or 'selector.name'?"),
        ("method=nait", "Did you mean 'selector' or 'train.method'?"),
        ("num_workers=2", "Type -m hydra/launcher=joblib hydra.launcher.n_jobs=NUMBER."),
        ("seeds=1,2", "Did you mean 'seed'? Several seeds: -m seed=0,1,2."),
        ("resume=true", "the same command continues from the store"),
        ("train.resume_from_checkpoint=x", "the same command continues from the store"),
        ("--overwrite", "another paths.store=FOLDER computes them again"),
        ("num_gpus=2", "torchrun --nproc-per-node N -m nait"),
        ("config=my.yaml", "--config-dir FOLDER experiment=NAME"),
        ("debug=true", "hydra.verbose=true"),
        ("--lr", "Values have no dashes: train.learning_rate=VALUE."),
        ("--config", "--config-dir FOLDER experiment=NAME"),
    ],
)
def test_another_tool_s_word_for_a_key_is_answered_with_ours(word: str, said: str) -> None:
    assert said in message(word)


def test_every_key_that_a_synonym_names_exists() -> None:
    chosen = composed(
        "data=hub", "data.path=a/b", "target=file", "target.path=a", "model=hf", "model.path=a/b", "train=lora",
        "eval=gsm8k", "paths.run=here",
    )  # fmt: skip
    for key in {*_WORDS, *_BY_GROUP.values()} - {"hydra/launcher=joblib hydra.launcher.n_jobs"}:
        node: Any = composed("budget=count") if key == "budget.count" else chosen
        for part in key.split("."):
            assert part in node, key
            node = node[part]


def test_a_synonym_stays_in_the_group_that_was_typed() -> None:
    assert synonym("train.lr") == "train.learning_rate"
    assert synonym("eval.lr") == ""
    assert synonym("TRAIN.Lora-Rank") == "train.lora.r"


@pytest.mark.parametrize("value", ["1-3", "1..3", "1:3", [1, 2, 3]])
def test_several_seeds_in_one_value_are_answered_with_a_sweep(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"To run each value, type -m seed=1,2,3\."):
        fit_value(value, KEYS["seed"], "seed")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["budget=tokens", "budget.tokens=1M"], "Type budget.tokens=1000000."),
        (["budget=count", "budget.count=1.5k"], "Type budget.count=1500."),
        (["budget.ratio=1/10"], "Type budget.ratio=0.1."),
        (["eval.num_fewshot=five"], "Write 'eval.num_fewshot=5', or by name 'eval.num_fewshot={name: 5}'."),
        (["train.epochs=[1,2]"], "To run each value, type -m train.epochs=1,2."),
    ],
)
def test_a_number_in_another_spelling_is_answered_with_its_digits(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        typed(*words)
    assert said in str(caught.value)


def test_several_numbers_are_offered_as_a_sweep_alone() -> None:
    assert message("train.learning_rate=1e-4,2e-4").endswith("To run each, add -m.")
    assert "'selector.layers=[1,2]'" in message("selector.layers=1,2")


def test_a_label_that_the_shell_has_cut_is_printed_in_quotes() -> None:
    assert "the shell split the value at a space. Quote it: 'label=my run'." in message("label=my", "run")


def test_a_column_can_be_assigned_by_its_own_key() -> None:
    words = ["data=file", "data.path=x", "data.columns.prompt=my q", "data.columns.completion=a.0.text"]
    assert typed(*words)["data"]["columns"] == {"prompt": "my q", "completion": "a.0.text"}
    assert "It needs data=file or hub." in message("data.columns.prompt=q")
    assert typed("eval=lm_eval", "eval.tasks=[a]", "eval.num_fewshot.a=2")["eval"]["num_fewshot"] == {"a": 2}
    assert "no such key" in message("data=file", "data.limit.x=1")


@pytest.mark.parametrize("value", ["question", "[question,answer]"])
def test_columns_without_fields_are_answered_with_the_grammar(value: str) -> None:
    with pytest.raises(ConfigError, match=r"'data\.columns=\{prompt: COLUMN, completion: COLUMN\}'"):
        typed("data=file", "data.path=x", f"data.columns={value}")


@pytest.mark.parametrize("plan", ["plan=true", "plan=false"])
def test_a_store_that_is_a_file_is_named_before_anything_is_read(
    nait: Run, home: Path, tmp_path: Path, plan: str
) -> None:
    (tmp_path / "afile").touch()
    done = nait("stages=[select]", plan, "paths.store=afile/store")
    assert done.returncode == 2
    assert re.search(r"afile: cannot be used: there is a file.* paths\.store=FOLDER\.", done.stderr)
    assert "Pool" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_dry_run_refuses_too_many_few_shot_examples(nait: Run) -> None:
    done = nait("plan=true", "selector=random", "eval.num_fewshot=5000", "stages=[select,train,evaluate]")
    assert done.returncode == 2
    assert re.search(r"few-shot examples in its split 'test'.*; 5000 are requested\.", done.stderr)
