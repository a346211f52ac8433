"""Reading video files: frames by their real timestamps.

- `file_size`: the size that the headers of a file state
- `decode`: open a file and decode its frames, also across damaged parts
- `packets`: the times of all packets, and where they restart in a joined file
- `timestamps`: strictly increasing timestamps of the decoded frames
- `frames`: the frame shown at each requested time, in one sequential pass (`VideoReader`)
- `probe`: properties of a file that need little or no decoding
"""
