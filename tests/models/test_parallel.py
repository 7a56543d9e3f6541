"""Broadcasts between the processes of a tensor-parallel model: plain values and tensors of a call."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nait.core.errors import ModelError
from nait.models.devices import process_group as group
from nait.models.devices import tensor_parallel as parallel
from nait.models.devices.process_group import Call
from nait.models.devices.tensor_parallel import is_split, lead
from tests.families import network


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """A queue of broadcast tensors, to test sender and receiver in one process."""
    sent: list[torch.Tensor] = []

    def spread(tensor: torch.Tensor) -> torch.Tensor:
        if receiving:
            tensor.copy_(sent.pop(0))
        else:
            sent.append(tensor.clone())
        return tensor

    receiving: list[bool] = []
    received = group.receive

    def receive() -> Call:
        receiving.append(True)
        try:
            return received()
        finally:
            receiving.pop()

    monkeypatch.setattr(group, "broadcast", spread)
    monkeypatch.setattr(parallel, "init_process_group", lambda: None)
    for module in (group, parallel):
        monkeypatch.setattr(module, "receive", receive)
    return sent


def test_a_call_arrives_as_it_was_sent(wire: list[torch.Tensor]) -> None:
    states, ids = torch.randn(2, 3).to(torch.bfloat16), torch.arange(6).view(3, 2).T
    group.send(Call("head", (states,), {"input_ids": ids, "use_cache": False, "mask": None, "scale": 0.5}))
    call = group.receive()
    assert call.name == "head"
    assert torch.equal(call.arguments[0], states)
    assert torch.equal(call.options["input_ids"], ids)
    assert {key: call.options[key] for key in ("use_cache", "mask", "scale")} == {
        "use_cache": False, "mask": None, "scale": 0.5,
    }  # fmt: skip
    assert wire == []


def test_an_argument_that_is_neither_a_tensor_nor_plain_is_refused(wire: list[torch.Tensor]) -> None:
    with pytest.raises(ModelError, match=r"called with a list, which cannot be broadcast"):
        group.send(Call("decoder", (), {"past": [torch.ones(1)]}))
    assert wire == []


def test_workers_repeat_the_calls_of_rank_0_until_dismissed(wire: list[torch.Tensor]) -> None:
    net, theirs = network("llama"), network("llama")
    ids = torch.tensor([[5, 6, 7]])
    assert not is_split(net)
    lead(lambda: net)
    assert is_split(net)
    with torch.inference_mode():
        logits = net(input_ids=ids, use_cache=False).logits
    parallel.dismiss()
    calls: list[Any] = []
    theirs.get_output_embeddings().register_forward_hook(lambda _m, _a, output: calls.append(output))
    theirs.get_decoder().register_forward_hook(lambda _m, _a, output: calls.append(output.last_hidden_state))
    parallel.follow(lambda: theirs)
    decoded, found = calls
    torch.testing.assert_close(found, logits)
    assert decoded.shape == (1, 3, net.config.hidden_size)
    assert wire == []
