"""Attempts: the time and energy of killed attempts at an artifact, kept for the attempt that resumes their work.

The cost of an artifact is the cost of an uninterrupted run. Work that a killed attempt did not save does not count.
What every attempt does again, such as loading libraries, counts once: the store times that of the last attempt.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nait.store import is_signed, signed, write_json
from nait.store.energy import gauge

NOTE = "attempts.json"


class Attempt:
    """One attempt to write an artifact into `folder`. It resumes from `kept`, the files of earlier attempts."""

    def __init__(self, folder: Path, *, kept: Sequence[Path]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._note = folder / NOTE
        self.earlier_seconds, self._earlier_wh = self._earlier(kept)
        self.earlier_meters: list[dict[str, Any]] = (self._noted() or {}).get("meters", []) if kept else []
        self.begin()

    def begin(self) -> None:
        """Count this attempt's cost from here. What it has done so far, a later attempt would do again."""
        self._started, self._since = time.monotonic(), gauge().joules()
        self.keep()

    def _earlier(self, kept: Sequence[Path]) -> tuple[float, float | None]:
        """Seconds and watt-hours of the earlier attempts, up to their last kept file.

        An attempt may be killed after it wrote a file and before it recorded the cost. Then the time between the last
        record and the file is added, and the energy is unknown.
        """
        if not kept or not self._note.is_file():
            return 0.0, 0.0
        noted = self._noted()
        if noted is None:
            return 0.0, None
        unrecorded = max(path.stat().st_mtime for path in kept) - self._note.stat().st_mtime
        if unrecorded <= 0:
            return float(noted["seconds"]), noted["energy_wh"]
        return float(noted["seconds"]) + unrecorded, None

    def _noted(self) -> dict[str, Any] | None:
        """The record of the earlier attempts; None without one, or when it is damaged and their cost unknown."""
        try:
            noted = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return noted if isinstance(noted, dict) and is_signed(noted) else None

    def keep(self, meters: Sequence[Mapping[str, Any]] = ()) -> None:
        """Record the cost of all attempts so far. Call this after each write of files to resume from.

        `meters`: for a pass, the seconds that each meter has taken in all attempts.
        """
        now = gauge().watt_hours(self._since)
        energy = None if now is None or self._earlier_wh is None else self._earlier_wh + now
        seconds = self.earlier_seconds + time.monotonic() - self._started
        noted = {"seconds": round(seconds, 3), "energy_wh": energy}
        kept = [dict(one) for one in meters or self.earlier_meters]
        write_json(self._note, signed({**noted, **({"meters": kept} if kept else {})}))

    def facts(self) -> dict[str, float | None]:
        """The cost of the earlier attempts, for the manifest; the store adds this attempt's. Deletes the record."""
        self._note.unlink(missing_ok=True)
        if not self.earlier_seconds and self._earlier_wh is not None:
            return {}
        return {"earlier_seconds": self.earlier_seconds, "earlier_energy_wh": self._earlier_wh}
