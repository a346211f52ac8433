"""Names, shapes and units of a prepared store, in one place.

A store is a folder: `INDEX` and one HDF5 file a participant. In a file (n segments, C channels,
T samples, I instances)::

    eeg            (n, C, T)  float32  microvolts; rows of NaN where there is no EEG
    eeg_found      (n,)       bool
    trial          (n,)       int32    order of presentation, from 1
    stimulus       (n,)       int32    which clip
    onset          (n,)       float32  seconds from the start of the stimulus
    ratings        (n, 4)     float32  valence, arousal, dominance, liking as given; NaN unknown
    label          (n,)       UTF-8    name of the class; only where the data set names classes
    faces/encoded  (bytes,)   uint8    image files one after the other, by segment and instance
    faces/offsets  (n*I+1,)   int64    where each starts; no bytes where no face was found
    faces/found    (n, I)     bool
    faces/time     (n, I)     float32  seconds from the start of the stimulus; NaN without a frame
    faces/box      (n, I, 4)  float32  left, top, right, bottom in the frame, pixels; NaN
    faces/score    (n, I)     float32  the detector's; NaN where it gives none
    faces/reason   (n, I)     uint8    index into the attribute `meanings`; 0 is "found"

Attributes of the file: `FILE_ATTRIBUTES`; of ``faces``: ``encoding``, ``size``.

Versions: 1 - first.
"""

from __future__ import annotations

FORMAT = 1
INDEX = "index.json"
LOCK = ".prepare.lock"
PIECES = ".pieces"
LEDGER = "faces.csv"
COVERAGE = "coverage.csv"
ENDING = ".h5"

ENCODING = "jpeg"
JPEG_QUALITY = 95  # with 4:2:0 chroma, as the video has it; measured by bench/face_encoding.py

LABEL = "label"
ROWS = {"trial": "int32", "stimulus": "int32", "onset": "float32", "ratings": "float32"}
FACE_ROWS = {
    "found": "bool",
    "time": "float32",
    "box": "float32",
    "score": "float32",
    "reason": "uint8",
}
FILE_ATTRIBUTES = (
    "format",
    "participant",
    "sfreq",
    "channels",
    "segment_s",
    "instances",
    "settings",
    "fingerprints",
    "detector",
    "notes",
)
FOUND = "found"
"""Meaning of reason 0."""
