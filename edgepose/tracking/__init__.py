"""One stream of frames without threads: the step per frame, tracks, person search, smoothing."""
