"""Pretrained weights: which files the program uses, whether they are intact, and their download.

``milmer weights fetch`` downloads, and ``milmer predict --model hf:USER/NAME``; every other command
uses the files on the disk.

- `local_backbones`: names of backbones, and their files on this machine
- `checksums`: the published SHA-256 of weight files
- `result`: the state of weight files (`WeightsResult`)
- `contents`: whether a file without a published checksum is complete
- `download`: resumable and verified download of one file
- `hub`: backbones in the cache of the Hugging Face Hub
- `hub_models`: models of Milmer on the Hugging Face Hub
- `catalog`: list, verify and fetch the face detectors and the backbone

To add the checksum of a file: add it to `checksums.PUBLISHED`, with its source.
"""
