"""Laws of open networks: opened once a process, given to one user at a time, and kept only as they were opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from nait.models.devices.open_networks import borrow, free, give_back
from nait.store.spared import spared_work
from tests.families import network


@dataclass
class Counted:
    """A model that counts how often it is opened."""

    fingerprint: str = "one"
    device: str = "cpu"
    name: str = "counted"
    max_length: int = 64
    opened: list[Any] = field(default_factory=list)

    def load_network(self) -> Any:
        self.opened.append(network("llama"))
        return self.opened[-1]


@pytest.fixture(autouse=True)
def _none_is_kept() -> Iterator[None]:
    free()
    yield
    free()


def test_a_network_that_was_given_back_is_the_next_users() -> None:
    model = Counted()
    first = borrow(model)
    give_back(first)
    assert borrow(Counted(opened=model.opened)) is first
    assert len(model.opened) == 1


def test_two_users_never_share_a_network() -> None:
    model = Counted()
    assert borrow(model) is not borrow(model)


@pytest.mark.parametrize("other", [{"fingerprint": "two"}, {"device": "meta"}])
def test_another_model_or_device_gets_its_own_network(other: dict[str, str]) -> None:
    first = borrow(Counted())
    give_back(first)
    assert borrow(Counted(**other)) is not first


def change_a_weight(net: Any) -> None:
    with torch.no_grad():
        net.model.layers[0].mlp.up_proj.weight.view(-1)[0] *= 1.001


def step_a_fused_optimiser(net: Any) -> None:
    weight = net.model.layers[0].mlp.up_proj.weight
    weight.grad = torch.ones_like(weight)
    torch.optim.AdamW([weight], lr=1e-6, fused=True).step()


def replace_a_module(net: Any) -> None:
    net.model.layers[0].mlp.up_proj = torch.nn.Linear(32, 48, bias=False)


def leave_a_hook(net: Any) -> None:
    net.model.layers[0].register_forward_hook(lambda *_: None)


def replace_the_forward(net: Any) -> None:
    net.forward = lambda *_: None


def cast(net: Any) -> None:
    net.bfloat16()


def change_the_config(net: Any) -> None:
    net.config.use_cache = False


@pytest.mark.parametrize(
    "change",
    [
        change_a_weight,
        step_a_fused_optimiser,
        replace_a_module,
        leave_a_hook,
        replace_the_forward,
        cast,
        change_the_config,
    ],
)
def test_a_changed_network_is_not_kept(change: Any) -> None:
    model = Counted()
    first = borrow(model)
    change(first)
    give_back(first)
    assert borrow(model) is not first


def test_a_network_that_was_trained_through_returns_clean() -> None:
    model = Counted()
    first = borrow(model).train()
    first.lm_head.requires_grad_(False)
    first(input_ids=torch.ones(1, 4, dtype=torch.long)).logits.sum().backward()
    give_back(first)
    assert borrow(model) is first
    assert not first.training
    assert all(p.grad is None and p.requires_grad for p in first.parameters())


def test_opening_a_kept_network_is_spared_work() -> None:
    model = Counted()
    with spared_work() as opened:
        give_back(borrow(model))
    with spared_work() as kept:
        borrow(model)
    assert opened.seconds == 0.0
    assert kept.seconds > 0.0


def test_a_network_whose_user_failed_is_freed() -> None:
    import gc
    import weakref

    alive = weakref.ref(borrow(Counted()))
    gc.collect()
    assert alive() is None
