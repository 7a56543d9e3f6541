"""Artifacts as earlier versions wrote them: without checksums, so that their files may be changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nait.store import write_json


def without_checksums(folder: Path, **changes: Any) -> dict[str, Any]:
    """Rewrite an artifact's manifest without checksums and with these changes. Returns it."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    older = {name: part for name, part in manifest.items() if name not in ("files", "checksum")} | changes
    write_json(folder / "manifest.json", older)
    return older
