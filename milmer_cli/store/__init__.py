"""The prepared store: the one boundary between recordings and learning (only user of h5py).

layout.py       names, shapes and units of everything on disk
atomic.py       a file appears whole or not at all; lock.py: one prepare at a time
images.py       faces to JPEG and back
writing.py      write one participant;  pieces.py: finished trials of an unfinished one
participant.py  read one participant
index.py        read the whole store, one table of segments;  check.py, ledger.py: look through it
"""

from milmer_cli.store.check import Finding, check_store
from milmer_cli.store.images import EncodedFaces, decode_face, encode_face
from milmer_cli.store.index import PreparedStore, Segments, write_index
from milmer_cli.store.participant import PreparedParticipant
from milmer_cli.store.writing import Header, PreparedTrial, write_participant

__all__ = [
    "EncodedFaces", "Finding", "Header", "PreparedParticipant", "PreparedStore", "PreparedTrial",
    "Segments", "check_store", "decode_face", "encode_face", "write_index", "write_participant",
]  # fmt: skip
