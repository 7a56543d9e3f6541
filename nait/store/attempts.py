"""Attempts: what a killed making of an artifact took, noted beside what it kept, for the attempt that continues it.

An artifact's seconds are thus those of a making in one piece. Work that was lost with an attempt is not in them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from nait.store import read_json, write_json
from nait.store.energy import gauge

NOTE = "attempts.json"


class Attempt:
    """One attempt at an artifact in `folder`, which continues the earlier ones from the files they `kept`, if any."""

    def __init__(self, folder: Path, *, kept: Sequence[Path]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._note = folder / NOTE
        self.earlier_seconds, self._earlier_wh = self._earlier(kept)
        self._started, self._since = time.monotonic(), gauge().joules()
        self.keep()

    def _earlier(self, kept: Sequence[Path]) -> tuple[float, float | None]:
        """Seconds and watt-hours of the earlier attempts up to the newest file.

        One that was killed between that file and its note took the time between the two besides, at unknown watts.
        """
        if not kept or not self._note.is_file():
            return 0.0, 0.0
        noted = read_json(self._note)
        beyond = max(path.stat().st_mtime for path in kept) - self._note.stat().st_mtime
        if beyond <= 0:
            return float(noted["seconds"]), noted["energy_wh"]
        return float(noted["seconds"]) + beyond, None

    def keep(self) -> None:
        """Notes what all attempts took so far. Call it when work has been written that the next one can use."""
        now = gauge().watt_hours(self._since)
        energy = None if now is None or self._earlier_wh is None else self._earlier_wh + now
        seconds = self.earlier_seconds + time.monotonic() - self._started
        write_json(self._note, {"seconds": round(seconds, 3), "energy_wh": energy})

    def facts(self) -> dict[str, float | None]:
        """What the earlier attempts took, for the manifest: a store adds it to what this one takes. Ends the note."""
        self._note.unlink(missing_ok=True)
        if not self.earlier_seconds:
            return {}
        return {"earlier_seconds": self.earlier_seconds, "earlier_energy_wh": self._earlier_wh}
