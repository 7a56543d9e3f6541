"""A folder without a complete causal language model is refused before scoring, with the name of the faulty file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from jinja2.exceptions import SecurityError
from safetensors.torch import load_file, save_file

from nait.core.dataset.examples import Example, Turn
from nait.core.errors import ModelError
from nait.models.checkpoint.loaded_weights import check_finite
from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate
from nait.models.tokens.encoding import encode
from tests.families import DENSE, network, save

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 15000000000\n"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def opened(folder: Path) -> LocalModel:
    return LocalModel(str(folder), max_length=64, device="cpu")


def edit(file: Path, **values: Any) -> None:
    """Set these values in the JSON file; None removes a key."""
    content = {**json.loads(file.read_text()), **values}
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def shard(folder: Path) -> None:
    """Save the weights as two shards and an index."""
    weights = load_file(folder / "model.safetensors")
    names, half = sorted(weights), len(weights) // 2
    parts = {
        "model-00001-of-00002.safetensors": names[:half],
        "model-00002-of-00002.safetensors": names[half:],
    }
    for file, part in parts.items():
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
    places = {name: file for file, part in parts.items() for name in part}
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()


def refused_before_loading(folder: Path, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        opened(folder)


def refused_at_loading(folder: Path, message: str) -> None:
    model = opened(folder)
    with pytest.raises(ModelError, match=message):
        model.load()


# ---- before loading: names and headers -------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["someone/tiny-7B", "gpt2"])
def test_a_hub_id_in_place_of_a_folder_is_sent_to_the_hub(given: str) -> None:
    with pytest.raises(ModelError, match=rf"no such folder\. .*model=hf model\.path={given}\."):
        LocalModel(given)


def test_a_folder_with_a_similar_name_is_suggested(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"no such folder\. Did you mean 'model'\?"):
        LocalModel(str(folder.with_name("modle")))


def test_a_folder_above_models_is_answered_with_their_folders(folder: Path) -> None:
    with pytest.raises(ModelError, match="Folders in it that have one: ") as refused:
        LocalModel(str(folder.parent))
    assert str(folder) in str(refused.value)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("model.Q4_K_M.gguf", r"only GGUF weights \(model\.Q4_K_M\.gguf\).*model=gguf.*model=hf"),
        ("pytorch_model.bin", r"only pickled weights \(pytorch_model\.bin\).*save_pretrained"),
        ("consolidated.00.pth", "only pickled weights"),
    ],
)
@pytest.mark.parametrize("config", [True, False])
def test_weights_of_another_format_are_refused_with_advice(
    file: str, message: str, config: bool, folder: Path
) -> None:
    (folder / "model.safetensors").rename(folder / file)
    if not config:
        (folder / "config.json").unlink()
    refused_before_loading(folder, message)


def test_a_file_in_place_of_a_folder_is_refused(folder: Path) -> None:
    refused_before_loading(folder / "model.safetensors", "is a file, not a folder")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_git_lfs_pointer_is_named_with_the_command_that_fetches_it(name: str, folder: Path) -> None:
    (folder / name).write_text(POINTER)
    refused_before_loading(folder, rf"{name}: is a Git LFS pointer.*git lfs pull")


@pytest.mark.parametrize(
    ("keep", "message"),
    [(0, "is empty"), (4, "not a safetensors file"), (60, "cut off inside its header"), (-1, "is cut off: ")],
)
def test_truncated_weights_are_refused(keep: int, message: str, folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    refused_before_loading(folder, rf"model\.safetensors: .*{message}")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", "", "is empty"),
        ("config.json", "[]", "is not a JSON object"),
        ("config.json", '{"model_type": ', "is not JSON"),
        ("tokenizer.json", "", "is empty"),
        ("tokenizer_config.json", "[]", "is not a JSON object"),
        ("generation_config.json", "<html>", "is not JSON"),
    ],
)
def test_a_text_file_that_is_not_a_json_object_is_refused(
    name: str, text: str, message: str, folder: Path
) -> None:
    (folder / name).write_text(text)
    with pytest.raises(ModelError, match=rf"{name}: {message}") as refused:
        opened(folder)
    assert "elete" not in str(refused.value)  # the folder is the user's


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: (folder / "model-00002-of-00002.safetensors").unlink(),
            "is listed in .* and missing",
        ),
        (lambda folder: (folder / "model-00002-of-00002.safetensors").write_text(POINTER), "Git LFS pointer"),
        (lambda folder: (folder / "model.safetensors.index.json").write_text("{}"), "has no weight_map"),
        (lambda folder: (folder / "model.safetensors.index.json").unlink(), "neither model.safetensors nor"),
    ],
)
def test_a_shard_that_is_missing_is_named(spoil: Callable[[Path], None], message: str, folder: Path) -> None:
    shard(folder)
    assert opened(folder).load_network() is not None
    spoil(folder)
    refused_before_loading(folder, message)


def test_a_listed_tensor_that_its_shard_lacks_is_named(folder: Path) -> None:
    shard(folder)
    index = folder / "model.safetensors.index.json"
    places = json.loads(index.read_text())["weight_map"]
    edit(index, weight_map={**places, "model.extra.weight": "model-00001-of-00002.safetensors"})
    refused_before_loading(folder, r"model-00001.*lacks the tensor model\.extra\.weight")


def test_a_file_that_no_index_lists_is_ignored(folder: Path) -> None:
    shard(folder)
    (folder / "notes.safetensors").write_bytes(b"not read")
    opened(folder).load_network()


@pytest.mark.parametrize("named", [True, False])
def test_a_classifier_is_refused(named: bool, folder: Path) -> None:
    def to_classifier(weights: dict[str, torch.Tensor]) -> None:
        del weights["lm_head.weight"]
        weights["score.weight"] = torch.zeros(2, 32)

    edit_weights(folder, to_classifier)
    edit(folder / "config.json", architectures=["LlamaForSequenceClassification"] if named else None)
    refused_before_loading(folder, "not a causal language model")


def test_an_output_layer_that_is_neither_saved_nor_tied_is_missing(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.pop("lm_head.weight"))
    refused_before_loading(folder, "no output layer.*tie_word_embeddings")
    edit(folder / "config.json", tie_word_embeddings=None)  # the architecture's default, which is not tied
    refused_at_loading(folder, r"lacks lm_head\.weight, which would be random")


def test_fewer_blocks_than_the_config_says_are_refused(folder: Path) -> None:
    edit(folder / "config.json", num_hidden_layers=4)
    refused_before_loading(folder, "weights have 3 blocks, config.json has 4")


def test_code_in_another_repository_is_refused(folder: Path) -> None:
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "someone/code--modeling.Own"})
    opened(folder)
    with pytest.raises(ModelError, match=r"in another repository.*write 'modeling\.Own'"):
        LocalModel(str(folder), max_length=64, trust_remote_code=True)


def test_a_config_without_a_model_type_is_refused_when_it_is_opened(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    refused_at_loading(folder, "transformers cannot open it")


# ---- when it is opened: tensors and ids ------------------------------------------------------------------------


def test_a_missing_weight_is_refused_not_initialised(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.pop("model.layers.1.mlp.up_proj.weight"))
    refused_at_loading(folder, r"lacks model\.layers\.1\.mlp\.up_proj\.weight, which would be random")


def test_a_weight_of_another_size_is_named_with_both_sizes(folder: Path) -> None:
    edit(folder / "config.json", vocab_size=300)
    refused_at_loading(folder, r"has shape \(320, 32\) in the checkpoint and \(300, 32\) by config.json")


@pytest.mark.parametrize(
    "name", ["model.layers.3.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.bias", "lm_head.bias"]
)
def test_an_unused_weight_of_the_network_is_refused(name: str, folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.update({name: torch.ones(32)}))
    refused_at_loading(folder, f"has {name}, which LlamaForCausalLM as config.json describes it lacks")


def test_unused_weights_outside_the_language_model_are_logged(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edit_weights(folder, lambda weights: weights.update({"vision.patch.weight": torch.ones(4)}))
    opened(folder).load_network()
    assert "vision.patch.weight is not used by LlamaForCausalLM" in caplog.text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nan_weights_are_refused(value: float, folder: Path) -> None:
    def break_one(weights: dict[str, torch.Tensor]) -> None:
        weights["model.layers.2.mlp.down_proj.weight"][3, 5] = value

    edit_weights(folder, break_one)
    refused_at_loading(folder, r"layers\.2\.mlp\.down_proj\.weight has 1 weights that are NaN or infinite")


def test_weights_too_large_for_float16_are_refused(folder: Path) -> None:
    def widen(weights: dict[str, torch.Tensor]) -> None:
        weights["model.layers.2.mlp.down_proj.weight"][3, 5] = 1e6

    edit_weights(folder, widen)
    opened(folder).load_network()
    model = LocalModel(str(folder), max_length=64, device="cpu", dtype="float16")
    with pytest.raises(ModelError, match=r"NaN or infinite.*model\.dtype=float32"):
        model.load_network()


def test_finite_weights_whose_sum_overflows_are_accepted() -> None:
    wide = torch.nn.Linear(64, 64).requires_grad_(False)
    wide.weight.fill_(3e38)
    check_finite(wide, where="here")


@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral", "gemma2", *DENSE[:1]])
def test_tied_and_untied_checkpoints_open_as_saved(family: str, tmp_path: Path) -> None:
    found = opened(save(tmp_path, family)).load_network()
    for name, weight in network(family).state_dict().items():
        assert torch.equal(found.state_dict()[name], weight), name


@pytest.mark.parametrize(
    "config",
    [
        {"eos_token": "<|im_end|>"},  # as resizing the tokenizer alone leaves it
        {"pad_token": "[PAD]"},
        {"added_tokens_decoder": {"320": {"content": "<tool>", "special": False}}},
    ],
)
def test_ids_beyond_the_embedding_are_refused_at_opening(config: dict[str, Any], folder: Path) -> None:
    edit(folder / "config.json", vocab_size=259)  # as many as the tokenizer has
    edit_weights(
        folder,
        lambda weights: weights.update(
            {name: weights[name][:259].clone() for name in ("lm_head.weight", "model.embed_tokens.weight")}
        ),
    )
    opened(folder).load()
    edit(folder / "tokenizer_config.json", **config)
    refused_at_loading(
        folder, r"tokenizer's '.*' has id \d+, the embedding has 259 rows.*resize_token_embeddings"
    )


def test_a_special_token_that_no_text_contains_may_exceed_the_embedding(folder: Path) -> None:
    picture = {"320": {"content": "<picture>", "special": True}}
    edit(folder / "tokenizer_config.json", added_tokens_decoder=picture)
    opened(folder).load_tokenizer()


def test_a_token_beyond_the_embedding_that_a_template_writes_is_refused(folder: Path) -> None:
    edit(folder / "config.json", vocab_size=259)  # as many as the tokenizer has
    edit(
        folder / "tokenizer_config.json",
        added_tokens_decoder={"259": {"content": "<picture>", "special": True}},
    )
    model = opened(folder)
    rows = [Example("a", (Turn("b", "c"),))]
    for prompt, writes in (("{user}", False), ("<picture>{user}", True)):
        template = TextTemplate(prompt=prompt)
        with pytest.raises(ModelError, match=r"writes '<picture>'") if writes else nullcontext():
            encode(rows, template, model.load_tokenizer(), max_length=64, vocabulary=model.vocabulary())


@pytest.mark.parametrize("text", ["{}", '{"model": {}}'])
def test_a_tokenizer_file_without_a_tokenizer_is_named(text: str, folder: Path) -> None:
    (folder / "tokenizer.json").write_text(text)
    refused_at_loading(folder, "the tokenizer cannot be opened")


@pytest.mark.parametrize(
    "name",
    [
        "pytorch_model.bin",
        "x.pt",
        "../other/model.safetensors",
        "/etc/model.safetensors",
        "a\\b.safetensors",
        "",
    ],
)
def test_a_list_of_shards_names_safetensors_files_of_its_folder(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    shard(folder)
    index = folder / "model.safetensors.index.json"
    places = json.loads(index.read_text())["weight_map"]
    edit(index, weight_map={**places, sorted(places)[0]: name})
    with pytest.raises(ModelError, match=r"which is not a safetensors file of this folder"):
        opened(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "../model.safetensors", 3])
def test_the_config_names_a_safetensors_file_of_its_folder(name: object, folder: Path) -> None:
    edit(folder / "config.json", transformers_weights=name)
    with pytest.raises(ModelError, match=r"transformers_weights names .* not a safetensors file"):
        opened(folder)


@pytest.mark.parametrize("place", ["attn_implementation", "_attn_implementation", "text_config"])
def test_a_config_cannot_name_a_kernel_of_the_hub(place: str, folder: Path) -> None:
    name = "someone/kernel@main"
    edit(folder / "config.json", **{place: {"attn_implementation": name} if place == "text_config" else name})
    with pytest.raises(ModelError, match=r"names code of the Hub \(someone/kernel@main\)"):
        opened(folder)


@pytest.mark.parametrize(
    "file", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]
)
@pytest.mark.parametrize("content", ["[]", "null", "3", "[" * 100_000, "{", ""])
def test_a_text_file_of_another_form_is_named(file: str, content: str, folder: Path) -> None:
    (folder / file).write_text(content)
    with pytest.raises(ModelError, match=file):
        opened(folder)


def test_a_header_that_no_parser_takes_is_refused(folder: Path) -> None:
    header = b'{"a":' * 50_000
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelError, match="is not a safetensors file"):
        opened(folder)


def test_a_chat_template_reaches_no_code(folder: Path) -> None:
    model = opened(folder)
    tokenizer = model.load_tokenizer()
    tokenizer.chat_template = "{{ messages.__class__.__mro__[1].__subclasses__() }}"
    with pytest.raises(SecurityError):
        tokenizer.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False)


@pytest.mark.parametrize("kind", ["mllama", "mllama_text_model"])
def test_a_model_that_skips_blocks_for_texts_is_refused_before_it_is_opened(kind: str, folder: Path) -> None:
    edit(folder / "config.json", model_type=kind)
    refused_before_loading(folder, r"a text skips them. Use the text model that it is built on")


@pytest.mark.parametrize(
    "values", [{"is_causal": False}, {"text_config": {"use_bidirectional_attention": True}}]
)
def test_an_encoder_whose_tokens_attend_to_later_ones_is_refused(
    values: dict[str, Any], folder: Path
) -> None:
    edit(folder / "config.json", use_bidirectional_attention="vision")
    opened(folder)  # of images alone
    edit(folder / "config.json", **values)
    refused_before_loading(folder, r"attend to later ones \(.*\), so it is not a causal language model")


def test_a_multimodal_model_without_a_text_model_of_its_own_is_named(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    text, vision = {**config, "model_type": "llama"}, {"model_type": "clip_vision_model"}
    (folder / "config.json").write_text(
        json.dumps({"model_type": "llava", "text_config": text, "vision_config": vision})
    )
    with pytest.raises(ModelError) as caught:
        opened(folder).load_network()
    assert str(caught.value) == (
        f"{folder}: it is a multimodal model (llava), whose text model transformers does not open alone. "
        "Use the text model that it is built on."
    )
