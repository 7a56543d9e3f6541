"""Hydra's YAML files of installed packages, each parsed once a process: a third of a composition is parsing."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource


@cache
def keep() -> None:
    """From here on, a package's YAML file is parsed once; each composition gets a copy of its values."""
    read = ImportlibResourcesConfigSource._read_config
    kept: dict[str, Any] = {}

    def kept_read(self: ImportlibResourcesConfigSource, file: Any) -> Any:
        name = f"{self.path}:{file}"
        if name not in kept:
            kept[name] = read(self, file)
        return copy.deepcopy(kept[name])

    ImportlibResourcesConfigSource._read_config = kept_read  # type: ignore[method-assign]
