"""Attempts: time and energy that killed attempts at an artifact spent, for the attempt that resumes them.

An artifact's cost is thus the cost of an uninterrupted run: work that was lost with an attempt is not counted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from nait.store import read_json, write_json
from nait.store.energy import gauge

NOTE = "attempts.json"


class Attempt:
    """An attempt at an artifact in `folder`. It resumes earlier attempts from the files they `kept`, if any."""

    def __init__(self, folder: Path, *, kept: Sequence[Path]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._note = folder / NOTE
        self.earlier_seconds, self._earlier_wh = self._earlier(kept)
        self._started, self._since = time.monotonic(), gauge().joules()
        self.keep()

    def _earlier(self, kept: Sequence[Path]) -> tuple[float, float | None]:
        """Seconds and watt-hours of the earlier attempts up to the newest file.

        When an attempt was killed between a file and its note, the time between the two is added; the energy is
        then unknown.
        """
        if not kept or not self._note.is_file():
            return 0.0, 0.0
        noted = read_json(self._note)
        beyond = max(path.stat().st_mtime for path in kept) - self._note.stat().st_mtime
        if beyond <= 0:
            return float(noted["seconds"]), noted["energy_wh"]
        return float(noted["seconds"]) + beyond, None

    def keep(self) -> None:
        """Record the cost of all attempts so far. Call it after writing files to resume from."""
        now = gauge().watt_hours(self._since)
        energy = None if now is None or self._earlier_wh is None else self._earlier_wh + now
        seconds = self.earlier_seconds + time.monotonic() - self._started
        write_json(self._note, {"seconds": round(seconds, 3), "energy_wh": energy})

    def facts(self) -> dict[str, float | None]:
        """The cost of the earlier attempts, for the manifest: the store adds the current one. Removes the note."""
        self._note.unlink(missing_ok=True)
        if not self.earlier_seconds:
            return {}
        return {"earlier_seconds": self.earlier_seconds, "earlier_energy_wh": self._earlier_wh}
