"""Device names: a device that this machine lacks is refused before a file is read."""

from __future__ import annotations

import pytest
import torch

from nait.core.errors import ConfigError
from nait.models.devices.device_names import check_device


@pytest.mark.parametrize("name", ["gpu", "GPU", "cuda:x", "cuda:99", "", "cpu:7"])
def test_a_missing_device_is_refused_with_its_key(name: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.device: there is no device"):
        check_device(name)


def test_cuda_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="there is no device 'cuda' here"):
        check_device("cuda")


@pytest.mark.parametrize("name", ["auto", "cpu", "cpu:0"])
def test_an_available_device_is_accepted(name: str) -> None:
    check_device(name)
