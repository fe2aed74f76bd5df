"""Files of poses: JSON Lines, CSV and Parquet, read as arrays by :func:`read_poses`."""
