"""Adapters on their base: put on, saved, loaded, refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ModelError, StoreError
from nait.training.adapters.adapted_models import load_adapted, release
from nait.training.adapters.adapter_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from nait.training.adapters.lora import LoraRecipe, attach
from nait.training.recipes.fine_tune import FineTune
from tests.training.conftest import Records

RECIPE = FineTune(max_steps=2, batch_size=4, learning_rate=0.05, warmup=0.0, lora=LoraRecipe(r=2))


def logits(network: Any) -> Any:
    import torch

    with torch.inference_mode():
        return network(torch.arange(2, 12)[None]).logits


@pytest.fixture(scope="module")
def trained(tiny: Any, rows: TokenTable, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp(name) for name in ("lora", "full")}
    RECIPE.train(tiny, rows, folders["lora"], seed=0, tracker=Records())
    full = FineTune(method="full", max_steps=2, batch_size=4, learning_rate=0.01, warmup=0.0)
    full.train(tiny, rows, folders["full"], seed=0, tracker=Records())
    return folders


@pytest.mark.parametrize("variant", ["lora", "dora", "rslora", "pissa"])
def test_an_untrained_adapter_has_its_layers_and_no_effect(tiny: Any, tmp_path: Path, variant: Any) -> None:
    recipe = FineTune(lora=LoraRecipe(r=2, variant=variant))
    assert recipe.save_untrained(tiny, tmp_path) == tmp_path
    network, _ = load_adapted(tiny, tmp_path)
    assert any("lora_A" in name for name, _ in network.named_parameters())
    assert logits(network).allclose(logits(tiny.load()[0]), atol=1e-6)
    release(network)
    assert FineTune(method="full").save_untrained(tiny, tmp_path / "none") is None


def test_no_folder_means_the_base_model(tiny: Any) -> None:
    network, tokenizer = load_adapted(tiny, None)
    assert logits(network).equal(logits(tiny.load()[0]))
    assert tokenizer.convert_tokens_to_ids("w5") == 5


def test_a_fresh_adapter_changes_nothing(tiny: Any) -> None:
    network, _ = tiny.load()
    before = logits(network)
    assert logits(attach(network, LoraRecipe()).eval()).equal(before)


def test_an_adapter_is_added_to_weights_of_16_bits_only_when_asked_for(
    tiny: Any, trained: dict[str, Path]
) -> None:
    half = replace(tiny, dtype="bfloat16")
    apart, _ = load_adapted(half, trained["lora"], merge="auto")
    assert any("lora_A" in name for name, _ in apart.named_parameters())
    merged, _ = load_adapted(half, trained["lora"], merge=True)
    assert not any("lora_A" in name for name, _ in merged.named_parameters())


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True` and a tied layer")
def test_an_adapter_is_not_added_to_a_weight_that_the_lm_head_shares(tiny: Any, tmp_path: Path) -> None:
    """The LM head of the trained model has no adapter: only the embedding has."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoConfig, LlamaForCausalLM

    shutil.copytree(tiny.folder, tmp_path / "tied")
    config = AutoConfig.from_pretrained(tiny.folder, tie_word_embeddings=True)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "tied")
    tied = replace(tiny, folder=tmp_path / "tied")
    FineTune(lora=LoraRecipe(r=2, target_modules=["embed_tokens"])).save_untrained(tied, tmp_path)
    weights = {name: torch.randn_like(one) for name, one in load_file(tmp_path / ADAPTER_WEIGHTS).items()}
    save_file(weights, tmp_path / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    apart = logits(load_adapted(tied, tmp_path)[0])
    assert logits(load_adapted(tied, tmp_path, merge="auto")[0]).equal(apart)
    with pytest.raises(ModelError, match="the adapted embedding and the LM head are one weight"):
        load_adapted(tied, tmp_path, merge=True)


def test_a_broken_adapter_is_not_added_to_the_weights(
    tiny: Any, trained: dict[str, Path], tmp_path: Path
) -> None:
    """Its answers are refused where they are computed."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(trained["lora"], tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / ADAPTER_WEIGHTS)
    next(iter(weights.values())).fill_(torch.nan)
    save_file(weights, tmp_path / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    network, _ = load_adapted(tiny, tmp_path, merge="auto")
    assert any("lora_A" in name for name, _ in network.named_parameters())


@pytest.mark.parametrize("merge", ["auto", True])
def test_an_adapter_whose_product_overflows_is_one_message(
    merge: Any, tiny: Any, trained: dict[str, Path], tmp_path: Path
) -> None:
    """Each of its own values is finite."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(trained["lora"], tmp_path, dirs_exist_ok=True)
    weights = {
        name: torch.full_like(one, 1e25) for name, one in load_file(tmp_path / ADAPTER_WEIGHTS).items()
    }
    save_file(weights, tmp_path / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"the adapter is too large.* lower train.learning_rate"):
        load_adapted(tiny, tmp_path, merge=merge)
    assert logits(load_adapted(tiny, None)[0]).equal(logits(tiny.load()[0]))


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_trained_model_loads_in_eval_mode_and_differs_from_the_base(
    kind: str, trained: dict[str, Path], tiny: Any
) -> None:
    network, _ = load_adapted(tiny, trained[kind])
    assert not network.training
    base = logits(tiny.load()[0])
    assert float((logits(network) - base).abs().max()) > 1e-4
    assert logits(load_adapted(tiny, trained[kind])[0]).equal(logits(network))


def test_peft_loads_the_adapter_with_the_same_outputs(trained: dict[str, Path], tiny: Any) -> None:
    from peft import PeftModel

    ours, _ = load_adapted(tiny, trained["lora"])
    theirs = PeftModel.from_pretrained(tiny.load()[0], str(trained["lora"])).eval()
    assert logits(ours).equal(logits(theirs))


def test_the_trained_model_keeps_its_cache_switch(trained: dict[str, Path], tiny: Any) -> None:
    network, _ = load_adapted(tiny, trained["full"])
    assert network.config.use_cache is True


def test_the_base_named_in_an_adapter_is_not_read(
    trained: dict[str, Path], tiny: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(trained["lora"], folder)
    config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "tiny"
    assert config["target_modules"] == sorted(config["target_modules"])
    (folder / ADAPTER_CONFIG).write_text(json.dumps({**config, "base_model_name_or_path": "/nowhere"}))
    assert logits(load_adapted(tiny, folder)[0]).equal(logits(load_adapted(tiny, trained["lora"])[0]))


def test_pickled_weights_are_not_opened(trained: dict[str, Path], tiny: Any, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(trained["lora"], folder)
    (folder / ADAPTER_WEIGHTS).rename(folder / "adapter_model.bin")
    with pytest.raises(StoreError, match="contains no adapter"):
        load_adapted(tiny, folder)


def test_an_adapter_of_another_architecture_is_refused(
    trained: dict[str, Path], tiny: Any, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "deeper"
    shutil.copytree(trained["lora"], folder)
    weights = load_file(folder / ADAPTER_WEIGHTS)
    save_file(
        {name.replace("layers.1", "layers.9"): t for name, t in weights.items()}, folder / ADAPTER_WEIGHTS
    )
    with pytest.raises(ModelError, match="does not fit"):
        load_adapted(tiny, folder)


def test_modules_the_model_lacks_are_refused(tiny: Any) -> None:
    with pytest.raises(ModelError, match="all-linear"):
        attach(tiny.load()[0], LoraRecipe(target_modules=["c_attn"]))


@pytest.mark.parametrize("names", [["q_proj", "v_prj"], ["q_proj", "mlp.q_proj"], "q_proj,v_proj"])
def test_an_unknown_module_name_is_refused_among_known_ones(tiny: Any, names: Any) -> None:
    with pytest.raises(ModelError, match="the model has no module"):
        attach(tiny.load()[0], LoraRecipe(target_modules=names))


def test_one_name_is_a_list_of_one(tiny: Any) -> None:
    one, several = LoraRecipe(target_modules="v_proj"), LoraRecipe(target_modules=["v_proj"])
    assert one.recipe == several.recipe
    names = [name for name, p in attach(tiny.load()[0], one).named_parameters() if p.requires_grad]
    assert names
    assert all(".v_proj." in name for name in names)


def test_an_output_layer_that_is_the_embeddings_takes_no_adapter(tiny: Any) -> None:
    network = tiny.load()[0]
    network.lm_head.weight = network.model.embed_tokens.weight
    with pytest.raises(ModelError, match="shares its weights with the embeddings"):
        attach(network, LoraRecipe(target_modules=["q_proj", "lm_head"]))
    attach(network, LoraRecipe(target_modules=["q_proj", "embed_tokens"]))


def test_an_adapter_imports_no_module_that_its_config_names(
    trained: dict[str, Path], tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "theirs"
    shutil.copytree(trained["lora"], folder)
    config = json.loads((folder / ADAPTER_CONFIG).read_text())
    evil = {
        "megatron_config": {"a": 1}, "megatron_core": "evil_module",
        "auto_mapping": {"parent_library": "evil_module"}, "base_model_name_or_path": "../../evil",
        "peft_type": "EVIL",
    }  # fmt: skip
    (folder / ADAPTER_CONFIG).write_text(json.dumps({**config, **evil}))
    (tmp_path / "evil_module.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert logits(load_adapted(tiny, folder)[0]).equal(logits(load_adapted(tiny, trained["lora"])[0]))


def test_a_trained_model_is_read_from_safetensors_alone(
    trained: dict[str, Path], tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    folder = tmp_path / "theirs"
    shutil.copytree(trained["full"], folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "pytorch_model.bin"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(ModelError, match="not a safetensors file of this folder"):
        load_adapted(tiny, folder)


def test_an_adapter_of_a_model_of_another_size_is_refused(
    trained: dict[str, Path], tiny: Any, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(trained["lora"], tmp_path / "theirs"))
    weights = load_file(folder / ADAPTER_WEIGHTS)
    doubled = {name: value.repeat(2, 2) for name, value in weights.items()}
    save_file(doubled, folder / ADAPTER_WEIGHTS)
    with pytest.raises(
        ModelError, match=r"does not fit this model: size mismatch .*model that it was trained with"
    ):
        load_adapted(tiny, folder)


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_4", "olora"])
def test_an_adapter_of_other_weights_than_the_models_is_refused(
    start: str, tiny: Any, tmp_path: Path
) -> None:
    """As peft saves it: without the change that its start makes to the model's weights, which it makes again."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], init_lora_weights=start)
    get_peft_model(tiny.load_network(), config).save_pretrained(tmp_path)
    with pytest.raises(
        ModelError, match=rf"other weights than the model's own \(init_lora_weights={start}\)"
    ):
        load_adapted(tiny, tmp_path)


def test_an_adapter_that_computes_otherwise_is_refused(tiny: Any, tmp_path: Path) -> None:
    """Its tensors are those of a LoRA, which it is only after its invocation tokens."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], alora_invocation_tokens=[5, 6])
    get_peft_model(tiny.load_network(), config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="neither LoRA nor DoRA: alora_invocation_tokens"):
        load_adapted(tiny, tmp_path)


@pytest.mark.parametrize("start", [True, False, "gaussian", "orthogonal", "mica"])
def test_an_adapter_of_the_models_own_weights_is_read(start: Any, tiny: Any, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], init_lora_weights=start)
    get_peft_model(tiny.load_network(), config).save_pretrained(tmp_path)
    load_adapted(tiny, tmp_path)


def test_an_offloaded_model_takes_no_adapter(tiny: Any, trained: dict[str, Path], tmp_path: Path) -> None:
    """The factors beside its layers would have no values, and answers those of other weights."""
    from accelerate import dispatch_model

    def offloaded() -> Any:
        network = tiny.load_network()
        parts = [name for name, _ in network.model.named_children() if name != "layers"]
        places: dict[str, Any] = {f"model.{name}": "cpu" for name in parts} | {"lm_head": "cpu"}
        places |= {f"model.layers.{k}": "disk" for k in range(len(network.model.layers))}
        return dispatch_model(network, places, main_device="cpu", offload_dir=tmp_path)

    class Offloaded(type(tiny)):  # type: ignore[misc]
        def load_network(self) -> Any:
            return offloaded()

    with pytest.raises(ModelError, match=r"model\.device_map: .* some layers are offloaded"):
        attach(offloaded(), LoraRecipe(r=2))
    model = Offloaded(**{name: getattr(tiny, name) for name in tiny.__dataclass_fields__})
    with pytest.raises(ModelError, match=r"model\.device_map: .* some layers are offloaded"):
        load_adapted(model, trained["lora"])
