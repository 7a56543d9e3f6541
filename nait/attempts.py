"""Attempts: what a killed making of an artifact took, noted beside what it kept, for the attempt that continues it.

An artifact's seconds are thus those of a making in one piece. Work that was lost with an attempt is not in them.
"""

from __future__ import annotations

import time
from pathlib import Path

from nait.energy import gauge
from nait.store import read_json, write_json

NOTE = "attempts.json"


class Attempt:
    """One attempt at an artifact in `folder`. It continues the earlier ones if `resumes`; else they do not count."""

    def __init__(self, folder: Path, *, resumes: bool) -> None:
        self._note = folder / NOTE
        if not resumes:
            self._note.unlink(missing_ok=True)
        noted = read_json(self._note) if self._note.is_file() else {"seconds": 0.0, "energy_wh": 0.0}
        self.earlier_seconds = float(noted["seconds"])
        self._earlier_wh: float | None = noted["energy_wh"]
        self._started, self._since = time.monotonic(), gauge().joules()

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
