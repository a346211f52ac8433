"""The prepared store: the interface between recordings and training. Only this package uses h5py.

- `schema`: names, shapes and units of everything on disk
- `sources`: the parts of files that trials were prepared from
- `cache`: finished trials of a participant whose file is not complete
- `writer`: write the file of one participant
- `hdf5_file`: open an HDF5 file that contains all its data
- `segments`: the table of segments (`Segments`)
- `reader`: read the file of one participant (`PreparedParticipant`)
- `checksums`: whether the file of a participant is damaged
- `index`: the whole store (`PreparedStore`)
- `combined`: two stores as one, with the EEG channels of both (`CombinedStore`)
- `tables`: coverage.csv, one row per trial
- `validate`: find errors in a store

To add a dataset: describe it in `schema`, write it in `writer`, read it in `reader`, and document
it in docs/store.md.
"""

from milmer_cli.faces.jpeg import decode_face, encode_face
from milmer_cli.faces.segment_faces import SegmentFaces
from milmer_cli.store.index import PreparedStore, write_index
from milmer_cli.store.reader import PreparedParticipant
from milmer_cli.store.segments import Segments
from milmer_cli.store.validate import Finding, validate_store
from milmer_cli.store.writer import Header, PreparedTrial, write_participant

__all__ = [
    "Finding", "Header", "PreparedParticipant", "PreparedStore", "PreparedTrial", "SegmentFaces",
    "Segments", "decode_face", "encode_face", "validate_store", "write_index", "write_participant",
]  # fmt: skip
