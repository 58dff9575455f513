"""From detections to faces that keep their id."""
