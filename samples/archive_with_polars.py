"""How far the wrists of people in an archive move: python archive_with_polars.py POSES.

POSES is the folder of `edgepose archive VIDEOS --out POSES`. Needs: pip install polars
"""

import sys

import edgepose

try:
    import polars as pl
except ImportError:
    sys.exit("This sample needs polars: pip install polars")

# Each joint has three numbers: x, y and score.
WRIST = 3 * edgepose.get_skeleton("penn13").index("right_wrist")

poses = pl.scan_parquet(f"{sys.argv[1]}/parts/**/*.parquet")
people = poses.filter(pl.col("person_id").is_not_null()).with_columns(
    pl.col("video").cast(pl.String),
    pl.col("keypoints").arr.get(WRIST).alias("x"),
    pl.col("keypoints").arr.get(WRIST + 1).alias("y"),
    pl.col("roi").arr.get(2).alias("size"),
)
paths = people.sort("video", "person_id", "frame").with_columns(
    pl.col("x", "y").diff().over("video", "person_id").name.prefix("step_")
)
moved = (pl.col("step_x") ** 2 + pl.col("step_y") ** 2).sqrt() / pl.col("size")
table = paths.group_by("video", "person_id").agg(
    pl.len().alias("frames"),
    pl.col("score").mean().round(2),
    moved.fill_nan(None).sum().round(2).alias("way of the right wrist"),
)
print(table.sort("video", "person_id").collect())
