"""The artifact store; energy and provenance of every artifact."""

from nait.store.reading import reading
from nait.store.store import (
    MANIFEST,
    Artifact,
    Store,
    is_place,
    read_artifact,
    read_json,
    repair_advice,
    write_json,
    write_text,
)

__all__ = [
    "MANIFEST",
    "Artifact",
    "Store",
    "is_place",
    "read_artifact",
    "read_json",
    "reading",
    "repair_advice",
    "write_json",
    "write_text",
]
