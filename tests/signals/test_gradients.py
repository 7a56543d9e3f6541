"""Gradient passes: each row's gradient is independent of the other rows of its batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nait.core.dataset.token_table import TokenTable, token_table
from nait.core.errors import ConfigError, ModelError, StoreError
from nait.signals.backward import answer_loss
from nait.signals.backward.adam import Stepper
from nait.signals.backward.gradient_runner import GradientRunner
from nait.signals.backward.per_example import find_factors
from nait.signals.specs.gradients import (
    PLAIN,
    VARIANTS,
    Gradients,
    Influences,
    Moments,
    Projection,
    Update,
    find_moments,
    influences_of,
)
from nait.store import write_json
from nait.training.adapters.lora import LoraRecipe, attach
from tests.families import CONFIGS, DENSE, VOCABULARY, network

pytestmark = pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False")  # peft puts it right itself

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def adapted(family: str = "llama", targets: str | Sequence[str] = "all-linear", r: int = 3) -> Any:
    """A tiny model with a LoRA without zero factors."""
    return adapted_from(network(family), targets, r)


def adapted_from(model: Any, targets: str | Sequence[str], r: int = 3) -> Any:
    """The model with a LoRA without zero factors."""
    made = attach(model, LoraRecipe(r=r, alpha=6.0, dropout=0.5, target_modules=targets)).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    return made


def rows(count: int = 6, *, seed: int = 0) -> TokenTable:
    """Rows of 5 to 40 tokens; an answer somewhere in the second half, once with a gap."""
    draw = np.random.default_rng(seed)
    ids = [draw.integers(3, VOCABULARY, size=5 + 7 * i).tolist() for i in range(count)]
    answers = [[i >= len(row) // 2 and (k != 2 or i != len(row) - 2) for i in range(len(row))]
               for k, row in enumerate(ids)]  # fmt: skip
    return token_table(ids, answers, [False] * count)


def one_by_one(model: Any, table: TokenTable) -> np.ndarray:
    """[N, P] by a loop over rows: full logits, no padding, one autograd backward each, dropout off."""
    model.eval()
    factors = [factor.weight.requires_grad_() for factor in find_factors(model).values()]
    gradients = []
    for i in range(len(table)):
        ids, answer = table.row(i)
        tokens = torch.tensor(ids[None].astype(np.int64))
        logits = model(input_ids=tokens, use_cache=False).logits[0, :-1].float()
        mask = torch.tensor(answer[1:])
        loss = torch.nn.functional.cross_entropy(logits[mask], tokens[0, 1:][mask])
        parts = torch.autograd.grad(loss, factors)
        gradients.append(torch.cat([part.flatten() for part in parts]).double().numpy())
    return np.stack(gradients)


def read(model: Any, signals: Sequence[Any], table: TokenTable, **options: Any) -> list[np.ndarray]:
    with GradientRunner(model, signals, **options) as runner:
        return runner.read(table, np.arange(len(table)))


def unit(rows_np: np.ndarray) -> np.ndarray:
    return rows_np / np.linalg.norm(rows_np, axis=1, keepdims=True)


def differs(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest row-wise difference, relative to a row's norm 1."""
    return float(np.linalg.norm(found - wanted, axis=1).max())


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize("family", CONFIGS)
def test_a_batch_gives_each_rows_own_gradient(family: str, padding: Any) -> None:
    # Experts are not linear modules: an adapter goes on the attention of such a model.
    model, table = adapted(family, "all-linear" if family in DENSE else ATTENTION), rows()
    (found,) = read(model, [Gradients()], table, padding=padding)
    assert differs(found, unit(one_by_one(model, table))) < 1e-5


@pytest.mark.parametrize("targets", ["all-linear", ATTENTION, ["v_proj"], ["down_proj", "q_proj"]])
def test_any_linear_layers_may_carry_the_adapter(targets: Any) -> None:
    model, table = adapted(targets=targets), rows()
    (found,) = read(model, [Gradients()], table)
    assert found.shape[1] == sum(factor.weight.numel() for factor in find_factors(model).values())
    assert differs(found, unit(one_by_one(model, table))) < 1e-5


def recomputed(forward: Any, reentrant: bool) -> Any:
    def again(h: Any, **options: Any) -> Any:
        return torch.utils.checkpoint.checkpoint(partial(forward, **options), h, use_reentrant=reentrant)

    return again


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing_counts_a_gradient_once(reentrant: bool) -> None:
    model, table = adapted(), rows()
    wanted = unit(one_by_one(model, table))
    for block in model.get_base_model().model.layers:
        block.forward = recomputed(block.forward, reentrant)
    if reentrant:  # that kind gives no gradient to a block whose input needs none
        model.get_base_model().get_input_embeddings().register_forward_hook(
            lambda _m, _a, output: output.requires_grad_() if torch.is_grad_enabled() else None
        )
    (found,) = read(model, [Gradients()], table)
    assert differs(found, wanted) < 1e-5


def test_tied_weights_and_dropout_change_nothing() -> None:
    model, table = adapted("gemma2"), rows()
    base = model.get_base_model()
    base.lm_head.weight = base.get_input_embeddings().weight
    model.train()  # the runner turns dropout off, and back on
    (found,) = read(model, [Gradients()], table)
    assert model.training
    assert differs(found, unit(one_by_one(model, table))) < 1e-5


def test_a_bfloat16_model_has_float32_gradients_of_its_adapter() -> None:
    exact, table = adapted(), rows()
    model = attach(network("llama").to(torch.bfloat16), LoraRecipe(r=3, alpha=6.0, dropout=0.0)).eval()
    with torch.no_grad():
        for name, factor in find_factors(model).items():
            factor.weight.copy_(find_factors(exact)[name].weight)
    (found,), (wanted,) = read(model, [Gradients()], table), read(exact, [Gradients()], table)
    assert found.dtype == np.float32
    assert ((found * wanted).sum(axis=1) > 0.98).all()


def test_gradients_do_not_depend_on_the_batch_a_row_is_in() -> None:
    model, table = adapted(), rows()
    (together,) = read(model, [Gradients()], table)
    with GradientRunner(model, [Gradients()]) as runner:
        apart = np.concatenate([runner.read(table, np.array([i]))[0] for i in range(len(table))])
    assert differs(together, apart) < 1e-6


def test_the_model_is_left_as_it_was() -> None:
    model, table = adapted(), rows(2)
    ids = torch.arange(3, 30)[None]
    wanted = {name: p.requires_grad for name, p in model.named_parameters()}
    with torch.no_grad():
        before = model(ids).logits
    read(model, [Gradients()], table)
    with torch.no_grad():
        assert model(ids).logits.equal(before)
    assert {name: p.requires_grad for name, p in model.named_parameters()} == wanted
    assert all(p.grad is None for p in model.parameters())
    assert not any("forward" in vars(module) for module in model.modules())


def test_a_row_without_a_predicted_answer_token_is_nan() -> None:
    model = adapted()
    table = token_table(
        [[5, 6, 7, 8], [5, 6, 7], [9, 8, 7, 6]],
        [[False, False, True, True], [True, False, False], [False] * 4],
        [False] * 3,
    )
    (whole,) = read(model, [Gradients()], table)
    assert np.isnan(whole[1:]).all()
    assert np.isfinite(whole[0]).all()
    (cosines,) = read(model, [influences_of(whole[:1], PLAIN)], table)
    np.testing.assert_allclose(cosines[0], [1.0], atol=1e-6)
    assert np.isnan(cosines[1:]).all()
    with GradientRunner(model, [influences_of(whole[:1], PLAIN)]) as runner:
        assert np.isnan(runner.read(table, np.array([1, 2]))[0]).all()


def moments(model: Any, folder: Path, *, drop: str = "", cut: str = "") -> Path:
    from safetensors.torch import save_file

    torch.manual_seed(2)
    tensors = {}
    for name, factor in find_factors(model).items():
        tensors[f"{name}.exp_avg"] = torch.randn_like(factor.weight) * 1e-2
        tensors[f"{name}.exp_avg_sq"] = torch.rand_like(factor.weight) * 1e-4
    tensors = {name: tensor[:-1] if cut and cut in name else tensor for name, tensor in tensors.items()}
    save_file(
        {name: t for name, t in tensors.items() if not drop or drop not in name}, folder / "a.safetensors"
    )
    return folder / "a.safetensors"


def by_hand(variant: str, g: np.ndarray, m: np.ndarray, v: np.ndarray) -> np.ndarray:
    momentum, second = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    formulas = {
        "less": lambda: momentum / np.sqrt(second + 1e-8),
        "eps_outside": lambda: momentum / (np.sqrt(second) + 1e-8),
        "no_momentum": lambda: g / np.sqrt(second + 1e-8),
        "sgd": lambda: g,
    }
    return np.asarray(formulas[variant]())


def flat(path: Path, moment: str) -> np.ndarray:
    from safetensors.numpy import load_file

    tensors = load_file(path)
    return np.concatenate([tensors[n].ravel() for n in sorted(tensors) if n.endswith(moment)]).astype(float)


@pytest.mark.parametrize("variant", VARIANTS)
def test_updates_follow_their_formulas(variant: Any, tmp_path: Path) -> None:
    model, table = adapted(), rows()
    path = moments(model, tmp_path)
    g = one_by_one(model, table)
    wanted = unit(by_hand(variant, g, flat(path, ".exp_avg"), flat(path, ".exp_avg_sq")))
    update = Update(variant, find_moments(path))
    references = wanted[:2].astype(np.float32)
    whole, cosines = read(model, [Gradients(update), influences_of(references, update)], table)
    assert differs(whole, wanted) < 1e-5
    np.testing.assert_allclose(cosines, wanted @ wanted[:2].T, atol=1e-6)


@pytest.mark.parametrize(
    ("variant", "wanted"),
    [("less", 0.28 / (0.004 + 1e-8) ** 0.5), ("eps_outside", 0.28 / (0.004**0.5 + 1e-8)),
     ("no_momentum", 1.0 / (0.004 + 1e-8) ** 0.5), ("sgd", 1.0)],
)  # fmt: skip
def test_an_update_by_hand(variant: Any, wanted: float, tmp_path: Path) -> None:
    """g = 1, m = 0.2, v = 0.003 / 0.999: 0.9 m + 0.1 g = 0.28, 0.999 v + 0.001 g^2 = 0.004."""
    from safetensors.torch import save_file

    path = tmp_path / "adam.safetensors"
    save_file({"w.exp_avg": torch.tensor([[0.2]]), "w.exp_avg_sq": torch.tensor([[0.003 / 0.999]])}, path)
    step = Stepper(Update(variant, find_moments(path)), {"w": (1, 1)}, "cpu")
    assert float(step("w", torch.tensor([[1.0]]))) == pytest.approx(wanted, rel=1e-5)


def test_adams_constants_come_from_the_epochs_record(tmp_path: Path) -> None:
    path = moments(adapted(), tmp_path)
    assert find_moments(path) == Moments(path, find_moments(path).digest, 0.9, 0.999, 1e-8)
    write_json(tmp_path / "epoch.json", {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6, "learning_rate": 1.0})
    found = find_moments(path)
    assert (found.beta1, found.beta2, found.eps) == (0.8, 0.95, 1e-6)
    assert Update("less", found).key() != Update("no_momentum", found).key()


def test_moments_of_another_adapter_are_refused_by_name(tmp_path: Path) -> None:
    model = adapted()
    name = "layers.1.mlp.up_proj.lora_B"
    update = partial(lambda path: Update("less", find_moments(path)))
    with pytest.raises(ModelError, match=rf"{name}.*exp_avg.* is not among"):
        GradientRunner(model, [Gradients(update(moments(model, tmp_path, drop=name)))])
    with pytest.raises(ModelError, match=rf"{name}.*has shape \(47, 3\)"):
        GradientRunner(model, [Gradients(update(moments(model, tmp_path, cut=name)))])
    with pytest.raises(ModelError, match="is not a parameter here"):
        GradientRunner(adapted(targets=ATTENTION), [Gradients(update(moments(model, tmp_path)))])
    (tmp_path / "a.safetensors").write_bytes(b"no tensors")
    with pytest.raises(StoreError, match=r"a\.safetensors"):
        GradientRunner(model, [Gradients(update(tmp_path / "a.safetensors"))])
    with pytest.raises(StoreError, match="no such file"):
        find_moments(tmp_path / "b.safetensors")


def test_adapters_other_than_plain_lora_are_refused() -> None:
    with pytest.raises(ModelError, match="no LoRA"):
        GradientRunner(network("llama"), [Gradients()])
    from peft import LoraConfig, get_peft_model

    dora = get_peft_model(network("llama"), LoraConfig(use_dora=True, target_modules=["q_proj"]))
    with pytest.raises(ModelError, match="lora_magnitude_vector"):
        GradientRunner(dora, [Gradients()])
    experts = LoraConfig(target_modules=["q_proj"], target_parameters=["mlp.experts.down_proj"])
    with pytest.raises(ModelError, match="experts"):
        GradientRunner(get_peft_model(network("mixtral"), experts), [Gradients()])
    with pytest.raises(ModelError, match="reference gradients"):
        GradientRunner(adapted(), [influences_of(np.ones((2, 5), np.float32), PLAIN)])


def test_an_adapter_the_loss_does_not_reach_is_refused() -> None:
    model = adapted(targets=["q_proj", "lm_head"])
    with pytest.raises(ModelError, match="lm_head"):
        read(model, [Gradients()], rows(2))


def test_invalid_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="less"):
        Update("less", None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="moments"):
        Update("less")
    with pytest.raises(ConfigError, match="multiple of 64"):
        Projection(dim=100)


def test_one_backward_serves_every_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nait.signals.backward import answer_loss as answers

    model, table = adapted(), rows()
    update = Update("less", find_moments(moments(model, tmp_path)))
    references = unit(one_by_one(model, table))[:4].astype(np.float32)
    projection = Projection(dim=128)
    calls, original = [0], answers.backward

    def counted(*args: Any) -> Any:
        calls[0] += 1
        return original(*args)

    monkeypatch.setattr(answers, "backward", counted)
    signals = [
        influences_of(references[:1], update), Gradients(PLAIN, projection), influences_of(references, PLAIN),
        Gradients(update), influences_of(references[1:], update), Gradients(),
    ]  # fmt: skip
    together = read(model, signals, table)
    assert calls == [1]
    for signal, value in zip(signals, together, strict=True):
        np.testing.assert_allclose(value, read(model, [signal], table)[0], atol=1e-6)


def test_out_of_memory_halves_the_batch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model, table = adapted(), rows()
    usual = read(model, [Gradients()], table)[0]
    original = GradientRunner._take

    def tight(self: GradientRunner, name: str, gradient: Any) -> None:
        if len(gradient) > 2 and self.seen:
            raise torch.OutOfMemoryError  # in the midst of a backward
        original(self, name, gradient)

    monkeypatch.setattr(GradientRunner, "_take", tight)
    with GradientRunner(model, [Gradients()]) as runner:
        halved = runner.read(table, np.arange(len(table)))[0]
    assert "half" in caplog.text
    assert differs(usual, halved) < 1e-6


def test_keys_contain_everything_that_changes_the_values(tmp_path: Path) -> None:
    found = find_moments(moments(adapted(), tmp_path))
    one, two = np.eye(2, 5, dtype=np.float32), np.eye(2, 5, 1, dtype=np.float32)
    signals: list[Gradients | Influences] = [
        Gradients(), Gradients(Update("less", found)), Gradients(Update("no_momentum", found)),
        Gradients(PLAIN, Projection()), Gradients(PLAIN, Projection(seed=1)), Gradients(PLAIN, Projection(64)),
        influences_of(one, PLAIN), influences_of(two, PLAIN), influences_of(one, Update("less", found)),
    ]  # fmt: skip
    keys = [str(signal.key()) for signal in signals]
    assert len(set(keys)) == len(keys)
    assert str(tmp_path) not in "".join(keys)
    assert Update("sgd", found).key() == PLAIN.key()


class Routed(torch.nn.Module):
    """Two linear experts. The first gets two tokens of every four, in a pattern that no row's end interrupts."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up_a, self.up_b = (torch.nn.Linear(width, width) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        out = torch.zeros_like(flat)
        best = torch.arange(len(flat)) % 4 // 2
        assert len(flat) % 4 == 0
        for number, expert in enumerate((self.up_a, self.up_b)):
            out[best == number] = expert(flat[best == number])
        return out.view_as(x)


def test_an_expert_that_sees_an_even_number_of_tokens_is_refused() -> None:
    """Its tokens do not divide into the rows of the batch, though their number does."""
    torch.manual_seed(0)
    model = network("llama")
    model.model.layers[2].mlp = routed = Routed(model.config.hidden_size)
    seen: list[int] = []
    routed.up_a.register_forward_pre_hook(lambda _module, args: seen.append(len(args[0])))
    made = attach(model, LoraRecipe(r=3, dropout=0.0, target_modules=["up_a"])).eval()
    two = token_table([[*range(3, 11)]] * 2, [[False, *[True] * 7]] * 2, [False] * 2)
    with pytest.raises(ModelError, match="mixes tokens of several rows"):
        read(made, [Gradients()], two)
    assert seen
    assert all(tokens > 0 and tokens % 2 == 0 for tokens in seen), seen


def test_gradients_of_a_long_answer_do_not_underflow_in_float16() -> None:
    """A large residual stream makes gradients small: its norm divides them."""
    ids = np.random.default_rng(0).integers(3, VOCABULARY, size=240).tolist()
    table = token_table([ids, ids[:30]], [[i > 2 for i in range(size)] for size in (240, 30)], [False] * 2)

    def unit_gradients(dtype: torch.dtype) -> np.ndarray:
        model = network("llama")
        with torch.no_grad():
            model.model.embed_tokens.weight.mul_(3000.0)
        return read(adapted_from(model.half().to(dtype), ("q_proj", "v_proj")), [Gradients()], table)[0]

    exact, rounded = unit_gradients(torch.float32), unit_gradients(torch.float16)
    np.testing.assert_allclose((exact * rounded).sum(axis=1), 1.0, atol=1e-4)


def test_a_scaled_gradient_that_overflows_is_computed_without_the_scale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = adapted_from(network("llama").half(), ATTENTION)
    usual = read(model, [Gradients()], rows(2))[0]
    monkeypatch.setattr(answer_loss, "FLOAT16_SCALE", 1e8)
    found = read(model, [Gradients()], rows(2))[0]
    np.testing.assert_allclose((usual * found).sum(axis=1), 1.0, atol=1e-4)
