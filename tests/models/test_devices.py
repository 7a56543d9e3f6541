"""Device placement: the configured device, or one GPU per process."""

from __future__ import annotations

import pytest
import torch

from nait.core.errors import ConfigError
from nait.models.anatomy import device_of
from nait.models.loading import LocalModel
from tests.families import save


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save(tmp_path_factory.mktemp("model")))


def launch(monkeypatch: pytest.MonkeyPatch, local: int, *, gpus: int) -> None:
    """Process `local` of two on a machine with `gpus` GPUs."""
    for name, value in (("RANK", local), ("WORLD_SIZE", 2), ("LOCAL_RANK", local), ("LOCAL_WORLD_SIZE", 2)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)


@pytest.mark.parametrize(
    ("device", "local", "gpus", "found"),
    [
        ("auto", 0, 2, "cuda:0"),
        ("auto", 1, 2, "cuda:1"),
        ("cuda", 1, 8, "cuda:1"),
        ("auto", 1, 1, "cuda:0"),
        ("cuda:0", 1, 2, "cuda:0"),
        ("cpu", 1, 2, "cpu"),
    ],
)
def test_each_process_of_a_machine_uses_its_own_gpu(
    folder: str, monkeypatch: pytest.MonkeyPatch, device: str, local: int, gpus: int, found: str
) -> None:
    launch(monkeypatch, local, gpus=gpus)
    assert LocalModel(folder, device=device, max_length=128).torch_device() == found


def test_a_single_process_uses_the_current_gpu(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert LocalModel(folder, max_length=128).torch_device() == "cuda"


def test_a_model_is_not_spread_by_several_processes_at_once(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LocalModel(folder, device_map="auto", max_length=128).device_map == "auto"
    launch(monkeypatch, 0, gpus=2)
    with pytest.raises(ConfigError, match=r"model.device_map=auto: 2 processes would each spread the model"):
        LocalModel(folder, device_map="auto", max_length=128)
    assert LocalModel(folder, device_map="cuda:0", max_length=128).device_map == "cuda:0"


def test_a_spread_model_takes_ids_on_the_device_of_its_embeddings(folder: str) -> None:
    model = LocalModel(folder, device_map="auto", max_length=128).load_network()
    assert device_of(model) == str(model.get_input_embeddings().weight.device)
