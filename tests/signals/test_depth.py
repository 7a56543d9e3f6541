"""Readings with a depth: the forward pass stops there, with the same values, and leaves the network unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nait.core.addresses import address
from nait.core.errors import ConfigError, ModelError
from nait.models.anatomy import SITES
from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate
from nait.models.tokens.batches import plan
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.signals.passes.runners import Runner
from nait.signals.specs.activations import (
    Embedding,
    Features,
    Losses,
    Mean,
    Norms,
    Reading,
    at_every_layer,
    norms_about,
    project_on,
    site_name,
)
from nait.store import Store
from tests.families import CONFIGS, DENSE, HIDDEN, LAYERS, network, pool, save
from tests.signals.test_losses import table

TEMPLATE = TextTemplate(prompt="Q: {user}\nA: ")


def signals(site: Any = "residual", depth: int | None = None) -> list[Any]:
    reading = Reading(site, depth=depth)
    generator = np.random.default_rng(0)
    width = 48 if site == "mlp" else HIDDEN
    layers = LAYERS + 1 - reading.first_layer
    v_cld = generator.normal(size=(2, layers, width)).astype(np.float32)
    return [Features(reading), project_on(reading, v_cld), norms_about(reading, v_cld[0]), Mean(reading)]


def read(model: Any, asked: list[Any], *, padding: Any = "right") -> list[np.ndarray]:
    rows = table()
    with Runner(model, asked, padding=padding) as runner:
        parts = [runner.read(rows, chosen) for chosen in plan(rows.lengths, 64)]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def ran(model: Any, asked: list[Any], **options: Any) -> set[str]:
    """Names of the modules that a pass ran."""
    found: set[str] = set()
    handles = [
        module.register_forward_hook(lambda *_, name=name: found.add(name))
        for name, module in model.named_modules()
    ]
    read(model, asked, **options)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize("family", CONFIGS)
def test_a_stopped_pass_gives_the_bytes_of_a_full_one(family: str, padding: Any) -> None:
    model = network(family)
    for site in SITES:
        if site == "mlp" and family not in DENSE:
            continue
        whole = read(model, signals(site), padding=padding)
        for depth in range(Reading(site).first_layer, LAYERS + 1):
            cut = depth - Reading(site).first_layer + 1
            for signal, full, found in zip(
                signals(site), whole, read(model, signals(site, depth), padding=padding), strict=True
            ):
                wanted = full[:, :, :cut] if signal.key()["signal"] == "projections" else full[:, :cut]
                assert found.shape == wanted.shape
                assert found.tobytes() == wanted.tobytes(), (site, depth, signal)


@pytest.mark.parametrize("family", CONFIGS)
def test_layers_above_the_depth_do_not_run(family: str) -> None:
    model = network(family)
    everything, some = ran(model, signals()), ran(model, signals(depth=1))
    blocks = [name for name, module in model.named_modules() if name.endswith((".layers", ".h"))]
    (at,) = [name for name in blocks if f"{name}.0" in everything]
    assert f"{at}.0" in some
    assert not any(name.startswith((f"{at}.1", f"{at}.2")) for name in some)
    norms = {"norm", "final_layer_norm", "ln_f"}
    final = {name for name in everything if not name.startswith(at) and name.rsplit(".", 1)[-1] in norms}
    assert final
    assert not final & some


def test_the_deepest_of_several_depths_decides() -> None:
    model = network("llama")
    alone = [read(model, signals(depth=depth))[1] for depth in (0, 2)]
    together = read(model, [signals(depth=depth)[1] for depth in (0, 2)])
    for a, b in zip(alone, together, strict=True):
        assert a.tobytes() == b.tobytes()
    assert "model.layers.1" in ran(model, [signals(depth=depth)[1] for depth in (0, 2)])


@pytest.mark.parametrize("output", [Losses(), Embedding()])
def test_an_output_signal_runs_the_whole_decoder(output: Any) -> None:
    model = network("llama")
    assert "model.norm" in ran(model, [*signals(depth=1), output])
    *_, alone = read(model, [output])
    *readings, beside = read(model, [*signals(depth=1), output])
    assert alone.tobytes() == beside.tobytes()
    for a, b in zip(readings, read(model, signals(depth=1)), strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_stopped_pass_leaves_the_network_as_it_was() -> None:
    model = network("llama")
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        before = model(ids, output_hidden_states=True)
    hooks = [(*module._forward_hooks, *module._forward_pre_hooks) for module in model.modules()]
    read(model, signals(depth=1))
    assert hooks == [(*module._forward_hooks, *module._forward_pre_hooks) for module in model.modules()]
    assert not torch.is_inference_mode_enabled()
    with torch.no_grad():
        after = model(ids, output_hidden_states=True)
    assert torch.equal(before.logits, after.logits)
    assert len(before.hidden_states) == len(after.hidden_states)


def test_a_depth_the_model_lacks_is_an_error() -> None:
    with pytest.raises(ModelError, match=f"blocks 1 to {LAYERS}"):
        read(network("llama"), [Norms(Reading(depth=LAYERS + 1))])
    with pytest.raises(ConfigError, match=r"reading\.depth: 0 is below the first layer"):
        Reading("mlp", depth=0)


# In the store.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


def extractor(folder: Path, store: Path) -> StoredExtractor:
    model = LocalModel(str(folder), device="cpu", max_length=128)
    return StoredExtractor(model, Store(store), TEMPLATE, engine=Engine(progress=False))


@pytest.mark.parametrize(
    ("site", "earlier"),
    [("residual", True), ("attn_out", False), ("mlp", False), ("mlp_out", False)],
)
def test_only_the_sites_that_read_another_module_have_new_addresses(site: Any, earlier: bool) -> None:
    key = {"type": "Reading", "site": site, "feature": "delta", "origin": "first"}
    for signal in (Features(Reading(site)), Norms(Reading(site))):
        assert (signal.key()["reading"] == key) is earlier
    assert site_name(Reading(site).key()) == site
    assert site_name(key) == (site if earlier else f"{site} (version 1)")


def test_only_a_set_depth_changes_an_address() -> None:
    assert "depth" not in Reading("mlp").key()
    assert "depth" not in Reading().key()
    keys = {address(Norms(Reading(depth=depth)).key()) for depth in (None, 0, 1, LAYERS)}
    assert len(keys) == 4


@pytest.mark.parametrize("number", range(4))
def test_a_signal_at_every_layer_serves_each_depth(
    folder: Path, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (alone,) = extractor(folder, tmp_path / "alone").measure(pool(), [signals(depth=1)[number]])
    extractor(folder, tmp_path / "whole").measure(pool(), [signals()[number]])
    monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))
    (cut,) = extractor(folder, tmp_path / "whole").measure(pool(), [signals(depth=1)[number]])
    assert cut.tobytes() == alone.tobytes()


def test_a_signal_with_a_depth_never_replaces_a_deeper_one(folder: Path, tmp_path: Path) -> None:
    x = extractor(folder, tmp_path)
    shallow, deeper, whole = (x.measure(pool(), [Norms(Reading(depth=d))])[0] for d in (1, 2, None))
    assert [part.shape[1] for part in (shallow, deeper, whole)] == [2, 3, LAYERS + 1]
    assert np.array_equal(whole[:, :2], shallow)
    assert at_every_layer(Norms(Reading())) is None
    assert at_every_layer(Losses()) is None
