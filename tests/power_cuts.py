"""Power cuts: what a disk holds when the power goes, given what was synced until then.

`Disk` records the content of a file when it is synced, and the names in a folder when that is synced. After a cut it
restores a folder tree in which everything that was not synced is lost, or present with unwritten content. Real disks
lie between these two.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Cut = Literal["names are lost", "content is lost", "content is zeros"]
CUTS: tuple[Cut, ...] = ("names are lost", "content is lost", "content is zeros")


class PowerCut(BaseException):
    """Ends the process under test at a sync."""


@dataclass
class Disk:
    """The synced state under `root`. Files and folders are known by inode, so a rename is a change of names only."""

    root: Path
    cut_at: int | None = None
    syncs: int = 0
    content: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, dict[str, int]] = field(default_factory=dict)

    def synced(self, handle: int) -> None:
        """Record what a sync of this handle brings to the disk. Raises: PowerCut at the chosen sync."""
        place = Path(f"/proc/self/fd/{handle}").resolve()
        if not place.is_relative_to(self.root):
            return
        self.syncs += 1
        if self.syncs == self.cut_at:
            raise PowerCut
        inode = os.fstat(handle).st_ino
        if place.is_dir():
            self._sync_names(inode, place)
        else:
            self.names.pop(inode, None)
            self.content[inode] = place.read_bytes()

    def _sync_names(self, inode: int, folder: Path) -> None:
        """Record a folder's names. Inodes of what was removed from it may be used again, by a file or by a folder."""
        self.content.pop(inode, None)
        before, now = self.names.get(inode, {}), {one.name: one.stat().st_ino for one in folder.iterdir()}
        self.names[inode] = now
        for one in folder.iterdir():
            (self.content if one.is_dir() else self.names).pop(one.stat().st_ino, None)
        if gone := {*before.values()} - {*now.values()}:
            for old in gone - {one.stat().st_ino for one in self.root.rglob("*")}:
                self.content.pop(old, None)
                self.names.pop(old, None)

    def restore(self, cut: Cut) -> None:
        """Make the tree under `root` what the disk holds after a cut now."""
        kept = self.root.with_name(self.root.name + ".after")
        kept.mkdir()
        if cut == "names are lost":
            self._copy_synced(self.root.stat().st_ino, kept)
        else:
            self._copy_named(self.root, kept, zeros=cut == "content is zeros")
        shutil.rmtree(self.root)
        kept.rename(self.root)

    def _copy_synced(self, folder: int, to: Path) -> None:
        """Only synced names, each with its synced content."""
        for name, inode in self.names.get(folder, {}).items():
            if inode in self.names or inode not in self.content:
                (to / name).mkdir(exist_ok=True)
                self._copy_synced(inode, to / name)
            else:
                (to / name).write_bytes(self.content[inode])

    def _copy_named(self, folder: Path, to: Path, *, zeros: bool) -> None:
        """All names, as a journal writes them before the content; content that was not synced is empty or zeros."""
        for one in folder.iterdir():
            if one.is_dir():
                (to / one.name).mkdir()
                self._copy_named(one, to / one.name, zeros=zeros)
            else:
                lost = bytes(one.stat().st_size) if zeros else b""
                (to / one.name).write_bytes(self.content.get(one.stat().st_ino, lost))
