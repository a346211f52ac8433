"""MAHNOB-HCI, emotion experiment (Soleymani et al., 2012): 27 participants, up to 20 clips.

Modules in data-flow order:

- `session`: session.xml: attributes and file names of a session
- `times`: where the clip starts in the BDF file and in the video
- `sentences`: sentences on what is found in the sessions
- `rows`: a session as a row of a manifest: ratings, files and onsets
- `listing`: `list_mahnob`, the sessions as rows of a manifest
"""
