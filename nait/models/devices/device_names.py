"""Devices: check that this machine has the device that a config names."""

from __future__ import annotations

from nait.core.errors import ConfigError


def check_device(name: str) -> None:
    """Check a device name. Raises: ConfigError for a device that this machine or this torch build lacks."""
    if name in ("auto", "cpu"):
        return
    import torch

    kind, _, number = name.partition(":")
    if kind == "cpu":
        count = 1
    elif kind == "mps":
        count = int(torch.backends.mps.is_available())
    else:
        module = getattr(torch, kind, None) if kind in KINDS else None
        count = module.device_count() if module is not None and module.is_available() else 0
    if not count or (number and not (number.isdigit() and int(number) < count)):
        fix = "Set model.device=auto, which uses a GPU if there is one, or cpu."
        raise ConfigError(f"there is no device '{name}' here", where="model.device", fix=fix)


KINDS = ("cuda", "xpu", "hpu", "npu", "mlu", "musa")
"""Accelerators with a torch module of their own, such as `torch.cuda`."""
