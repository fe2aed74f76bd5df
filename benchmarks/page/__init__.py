"""The page of the last benchmark: tables and picture, from the JSON that the benchmark wrote."""
