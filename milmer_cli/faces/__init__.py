"""Face images of the participant from video frames.

- `boxes`: bounding box and landmarks of a face
- `centerface`: the detector whose weights are installed with Milmer
- `centerface_torch`: its network on a GPU
- `detector`: it and every detector of face-alignment behind one `FaceDetector`
- `search`: what is tried before an image counts as one without a face
- `video_stream`: the stream that shows a face, in files with several video streams
- `regions`: faster detection in consecutive frames, around the faces of their neighbors
- `appearance`: whether two boxes may show the same person
- `tracking`: links the faces of consecutive frames; selects the participant
- `gaps`: faces that the detector missed between two detections of a track
- `crop`: square face images, aligned by the landmarks or not
- `jpeg`: encoding and decoding of face images
- `segment_faces`: the face images of consecutive segments with their metadata (`SegmentFaces`)
- `extract`: the whole path from a video to `SegmentFaces`

To add a detector: add its `DetectorSpec` to `detector.DETECTORS` and its name to
`settings.schema.Detector`.
"""
