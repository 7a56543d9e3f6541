"""The artifact store, and what is recorded beside every artifact: energy and provenance."""

from nait.store.store import (
    MANIFEST,
    Artifact,
    Store,
    is_place,
    read_artifact,
    read_json,
    way_out,
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
    "way_out",
    "write_json",
    "write_text",
]
