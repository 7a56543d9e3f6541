"""Method names with a meaning in tables: the control and the references."""

from __future__ import annotations

CONTROL = "random"
BASE = "base (not trained)"
FULL = "full"
TARGETLESS = (CONTROL, FULL, BASE)
"""Methods that do not depend on the target: one run is valid for every target."""
