"""Fixtures of the evaluation tests: a tiny random model, a folder of tasks and a mirror."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.eval.harness import LmEval

CONTEXT = 96
SIZES = {"small": 4, "large": 8}

ROWS = """
import datasets


def sums(**_):
    rows = [{"question": f"{a} plus {a}", "answer": str(a + a)} for a in range(6)]
    return {"train": datasets.Dataset.from_list(rows[:3]), "test": datasets.Dataset.from_list(rows[3:])}
"""

SUMS = """
task: toy_sums
custom_dataset: !function rows.sums
output_type: generate_until
training_split: train
test_split: test
num_fewshot: 1
doc_to_text: "{{question}} is"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], do_sample: false, max_gen_toks: 200}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
filter_list:
  - name: first
    filter: [{function: regex, regex_pattern: "([0-9]+)"}, {function: take_first}]
  - name: whole
    filter: [{function: take_first}]
"""

TEMPLATE = """
dataset_path: toy/letters
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_choice: ["yes", "no"]
doc_to_target: answer
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""

GROUP = """
group: toy_letters
task: [toy_small, toy_large]
aggregate_metric_list: [{metric: acc, weight_by_size: true}]
"""


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers with a byte-level tokenizer and a context of 96 tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("model")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<s>", "</s>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.4,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def task_folder(tmp_path: Path) -> Path:
    """A generative task with its own rows, and a group of two multiple-choice tasks that need the mirror."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "rows.py").write_text(ROWS)
    (folder / "sums.yaml").write_text(SUMS)
    (folder / "_letters_yaml").write_text(TEMPLATE)
    for name in SIZES:
        (folder / f"{name}.yaml").write_text(
            f"include: _letters_yaml\ntask: toy_{name}\ndataset_name: {name}\n"
        )
    (folder / "letters.yaml").write_text(GROUP)
    return folder


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """`toy/letters` with two configurations of different sizes, one in Parquet and one in JSONL."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = tmp_path / "hub"
    place = root / "toy" / "letters"
    place.mkdir(parents=True)
    configs = []
    for name, size in SIZES.items():
        rows = [{"question": f"Is {i} {name}?", "answer": i % 2} for i in range(size)]
        if name == "small":
            pq.write_table(pa.Table.from_pylist(rows), place / "small.parquet")
        else:
            (place / "large.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        suffix = "parquet" if name == "small" else "jsonl"
        configs.append(f"- config_name: {name}\n  data_files:\n  - split: test\n    path: {name}.{suffix}\n")
    (place / "README.md").write_text("---\nconfigs:\n" + "".join(configs) + "---\n# Letters\n")
    return root


@pytest.fixture
def evaluator(task_folder: Path, mirror: Path) -> Callable[..., LmEval]:
    """Makes an evaluator of the toy tasks; any setting can be given."""

    def make(**settings: Any) -> LmEval:
        defaults: dict[str, Any] = {
            "tasks": ["toy_sums", "toy_letters"],
            "mirror": str(mirror),
            "include": [str(task_folder)],
            "batch_size": 8,
            "trust_task_code": True,
        }
        return LmEval(**(defaults | settings))

    return make
