"""Pose networks: a backbone and a head that answers with heat-maps."""
