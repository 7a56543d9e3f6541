"""The artifact store; energy and provenance of every artifact."""

from nait.store.files.checksums import is_signed, signed
from nait.store.files.damaged import MANIFEST, DamagedError, damaged, is_place, repair_advice, set_aside
from nait.store.files.durable import sync, sync_tree, whole_file, write_json, write_text
from nait.store.files.manifests import Artifact, check_path, read_artifact, read_copy, read_json
from nait.store.files.reading import reading
from nait.store.store import Store

__all__ = [
    "MANIFEST",
    "Artifact",
    "DamagedError",
    "Store",
    "check_path",
    "damaged",
    "is_place",
    "is_signed",
    "read_artifact",
    "read_copy",
    "read_json",
    "reading",
    "repair_advice",
    "set_aside",
    "signed",
    "sync",
    "sync_tree",
    "whole_file",
    "write_json",
    "write_text",
]
