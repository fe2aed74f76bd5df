"""Whether people are found where they are, and only there."""
