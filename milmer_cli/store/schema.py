"""Names, shapes and units of a prepared store.

A store is a folder with `INDEX_FILE` and one HDF5 file per participant. A file with n segments, C
channels, T samples and I instances contains::

    eeg            (n, C, T)  float32  microvolts; NaN in segments without EEG
    eeg_found      (n,)       bool     whether there is EEG
    quality/bad    (n, C)     bool     the electrode is bad or missing in the segment
    quality/interpolated (n, C) bool   the values are interpolated, at least in part of the segment
    quality/ptp_uv (n, C)     float32  peak-to-peak amplitude, microvolts; NaN without EEG
    trial          (n,)       int32    order of presentation, from 1
    stimulus       (n,)       int32    number of the stimulus
    onset          (n,)       float32  seconds after stimulus onset
    ratings        (n, 4)     float32  valence, arousal, dominance, liking; NaN if unknown
    label          (n,)       UTF-8    class name; only if the data set has class names
    session        (n,)       UTF-8    recording session; only if the data set has sessions
    condition      (n,)       UTF-8    experimental condition; only if the data set has conditions
    faces/encoded  (bytes,)   uint8    JPEG files in sequence, by segment and instance
    faces/offsets  (n*I+1,)   int64    start of each file; equal to the next one without a face
    faces/found    (n, I)     bool     whether there is an image
    faces/time     (n, I)     float32  seconds after stimulus onset; NaN without a frame
    faces/box      (n, I, 4)  float32  left, top, right, bottom in the frame, pixels; NaN
    faces/score    (n, I)     float32  score of the detector; NaN if it returns none
    faces/reason   (n, I)     uint8    index into the attribute ``meanings``; 0 is "found"

The attributes of the file are `FILE_ATTRIBUTES`; those of ``faces`` are ``encoding`` and ``size``.
"""

from __future__ import annotations

from milmer_cli.formats import FORMATS

FORMAT_VERSION = FORMATS["store-index"].version
"""Version of the format that is written.

Format 1 has no group ``quality``. Formats 1 and 2 have neither ``session`` nor ``condition``.
"""
EEG_VERSION = 2
"""First format with the EEG and quality that are written; the EEG of older files is preprocessed
again."""
READABLE_VERSIONS = tuple(range(FORMATS["store-index"].oldest, FORMAT_VERSION + 1))
"""Versions of the format that can be read."""

INDEX_FILE = "index.json"
COVERAGE_FILE = "coverage.csv"
QUALITY_FILE = "quality.png"
WRITTEN_FILE = ".written.json"
CACHE_FOLDER = ".trials"
PARTICIPANT_SUFFIX = ".h5"

TEXT_COLUMNS = ("label", "session", "condition")
"""Data sets of text, one for each segment; absent if all texts are empty."""
ROW_DTYPES = {"trial": "int32", "stimulus": "int32", "onset": "float32", "ratings": "float32"}
QUALITY_DTYPES = {"bad": "bool", "interpolated": "bool", "ptp_uv": "float32"}
FACE_DTYPES = {
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
