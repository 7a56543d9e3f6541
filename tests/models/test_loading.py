"""Loading: changed files are noticed, the tokenizer is the folder's, and the Hub's cache suffices offline."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, pre_tokenizers

from nait.core.errors import ModelError
from nait.hub.reachability import OFFLINE
from nait.models.anatomy import dissect
from nait.models.hub import hub_model
from nait.models.loading import LocalModel
from nait.models.tokens.tokenizers import PROBES, open_tokenizer
from nait.training.adapters.lora import LoraRecipe, attach
from tests.families import COMMON, HIDDEN, save, tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_models_fingerprint_changes_with_its_files_and_dtype(
    name: str, folder: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(folder, tmp_path / "own"))
    before = LocalModel(str(own), max_length=64).fingerprint
    (own / "notes.txt").write_text("no part of it")
    assert LocalModel(str(own), device="cpu", max_length=7).fingerprint == before
    assert LocalModel(str(own), max_length=64, dtype="bfloat16").fingerprint != before
    with (own / name).open("r+b") as file:
        if name == "model.safetensors":
            file.seek(-1, 2)
            file.write(b"\x01")
        else:
            file.seek(0, 2)
            file.write(b"\n")
    assert LocalModel(str(own), max_length=64).fingerprint != before


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_the_tokenizer_is_the_folders_own_whatever_the_models_type(family: str, tmp_path: Path) -> None:
    file = save(tmp_path, family) / "tokenizer.json"
    bare = Tokenizer.from_file(str(file))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)  # unlike that of any Qwen 2
    bare.save(str(file))
    found = open_tokenizer(tmp_path)
    for text in PROBES:
        ids = found(text, add_special_tokens=False)["input_ids"]
        assert ids == bare.encode(text, add_special_tokens=False).ids


def test_a_tokenizer_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"{tmp_path}: the tokenizer cannot be opened"):
        open_tokenizer(tmp_path)


def test_a_model_in_the_hubs_cache_needs_no_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repo = tmp_path / "models--someone--tiny"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("a" * 40)
    (repo / "snapshots").mkdir()
    (repo / "snapshots" / ("a" * 40)).symlink_to(folder)
    model = hub_model("someone/tiny", download=False, max_length=64)
    assert model.name == "tiny"
    assert model.fingerprint == LocalModel(str(folder), max_length=64).fingerprint
    with pytest.raises(ModelError, match=r"model\.download is false, and it is not in the cache"):
        hub_model("someone/other", download=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub_model("someone/tiny", max_length=64).fingerprint == model.fingerprint
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with caplog.at_level(logging.WARNING):
        assert hub_model("someone/tiny", max_length=64).fingerprint == model.fingerprint
    assert "127.0.0.1:9 cannot be reached" in caplog.text


@pytest.mark.usefixtures("no_waiting")
def test_a_model_that_is_not_in_the_cache_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in OFFLINE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError) as caught:
        hub_model("someone/other")
    message = str(caught.value)
    assert message.startswith(
        "model.path=someone/other: the model cannot be downloaded: http://127.0.0.1:9 cannot"
    )
    assert "it is not in the cache. Use model=local model.path=FOLDER, or download it once" in message
    with pytest.raises(ModelError, match=r"model=local model\.path=FOLDER"):
        hub_model("/no/such/folder")  # not an id: refused without a request


def test_transformers_prints_no_names_of_unused_tensors(tmp_path: Path) -> None:
    """They may hold control characters. `check_loaded` says them with escapes."""
    folder = save(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "\x1b]0;title\x07": torch.zeros(1)}, folder / "model.safetensors", {"format": "pt"})
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("transformers.modeling_utils")
    log.addHandler(handler)
    try:
        LocalModel(str(folder), max_length=64).load()
    finally:
        log.removeHandler(handler)
    assert not [message for message in said if "title" in message]


@pytest.fixture(scope="module")
def rwkv(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """A model that would halve its residual stream after every second block."""
    options = {**COMMON, "num_hidden_layers": 5, "attention_hidden_size": HIDDEN, "context_length": 64}
    torch.manual_seed(0)
    config = transformers.RwkvConfig(**options, rescale_every=2)
    folder = tmp_path_factory.mktemp("rwkv")
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return LocalModel(str(folder), device="cpu", max_length=64)


IDS = torch.tensor([[1, 9, 40, 33, 7]])


def block_outputs(network: Any) -> tuple[list[torch.Tensor], tuple[torch.Tensor, ...]]:
    """What each block gives, and the library's hidden states."""
    outputs: list[torch.Tensor] = []
    handles = [
        block.register_forward_hook(lambda *args: outputs.append(args[2][0]))
        for block in dissect(network).blocks
    ]
    with torch.no_grad():
        hidden = network(IDS, output_hidden_states=True).hidden_states
    for handle in handles:
        handle.remove()
    return outputs, hidden


def test_the_residual_stream_of_rwkv_has_one_scale_in_all_layers(rwkv: LocalModel) -> None:
    """As in training. Its hidden states begin with the first block's output, without the embeddings."""
    network = rwkv.load_network()
    outputs, hidden = block_outputs(network)
    trained, _ = block_outputs(network.train())
    for ours, theirs, training in zip(outputs, hidden[:-1], trained, strict=True):
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(ours, training)


def test_an_adapter_of_rwkv_has_the_effect_that_was_trained(rwkv: LocalModel) -> None:
    network = attach(rwkv.load_network(), LoraRecipe(r=2, dropout=0.0))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
        training, evaluated = (network.train(mode)(IDS).logits for mode in (True, False))
    torch.testing.assert_close(training, evaluated)
