"""Training configuration: TOML recipes, typed settings and their checks."""
