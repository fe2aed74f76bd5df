"""Several people in one stream: who is there, who is who, and the pose of each."""
