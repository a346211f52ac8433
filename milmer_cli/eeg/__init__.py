"""EEG: open a recording, preprocess the whole of it, then cut it into segments.

Modules in data-flow order (microvolts everywhere, except inside mne objects, which hold volts):

- `edf`: layout of EDF and BDF files, and the true times of the records of discontinuous ones
- `read_errors`: errors of MNE's readers, converted to one sentence that names the file
- `header_files`: header files that name the other files of a recording, also after a renaming
- `file_size`: comparison of the size of a file with the size that its header states
- `mat_file`: MATLAB files of any version, read in a process of its own
- `eeglab`: EEGLAB recordings of any MATLAB version
- `neuroscan`: which channels of a Neuroscan CNT file are flagged as bad
- `units`: units and types of channels, from the spellings in headers and from names
- `bids_sidecars`: BIDS sidecars of a recording, also inherited ones
- `io`: opening EEG files in any format of MNE; `EegBlock`; `ReadOptions`
- `biosemi`: BioSemi BDF files: header check and the event codes of the status channel
- `gaps`: gaps of an interrupted recording, its continuous parts, and segments that contain a gap
- `markings`: channels and intervals that the user marked as bad
- `events`: events with their onsets and durations, from trigger channels and annotations
- `channels`: names and orders of channels; which channels are electrodes; lookup by name
- `amplitude`: robust amplitude; checks that the values of a recording can be microvolts of EEG
- `line_noise`: the power line frequency
- `splines`: spherical splines, which predict a channel from the others
- `neighbors`: comparison of channels with their prediction from the others
- `bad_channels`: `find_bad_windows`, the bad channels of each second
- `reference`: interpolation of bad channels where they are bad; average reference without them
- `ica`: removal of independent components that contain eye artifacts
- `eog`: removal of eye artifacts
- `loading`: reading, filtering and resampling of channels
- `preprocess`: `preprocess_eeg`, the processing steps from a recording to clean microvolts
- `montage`: matching the channels of any cap to those of a model; interpolating missing ones
- `quality`: `EegQuality`, the bad channels of each segment
- `segment`: segment onsets and the cut of a trial into segments
- `epochs`: segments as epochs of MNE
"""
