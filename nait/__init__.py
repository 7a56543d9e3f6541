"""The reference harness for instruction-tuning data selection.

`nait.select(pool, like=reference, model=folder)` selects rows; the other names are the parts that it is made of. All
are imported when they are first used, so that `import nait` is quick.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nait.api.parts import budget, extractor, open_model, order, read_pool, read_target, scorer
    from nait.api.selected_rows import Selected, select
    from nait.core.errors import NaitError

__version__ = version("nait")
__all__ = [
    "NaitError",
    "Selected",
    "__version__",
    "budget",
    "extractor",
    "open_model",
    "order",
    "read_pool",
    "read_target",
    "scorer",
    "select",
]
_PARTS = ("budget", "extractor", "open_model", "order", "read_pool", "read_target", "scorer")
_PLACES = {
    "NaitError": "nait.core.errors",
    "Selected": "nait.api.selected_rows",
    "select": "nait.api.selected_rows",
    **dict.fromkeys(_PARTS, "nait.api.parts"),
}
"""Name -> the module that it is imported from."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'nait' has no attribute '{name}'")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
