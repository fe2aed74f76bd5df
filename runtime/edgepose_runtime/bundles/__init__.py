"""Bundles on disk: manifest, its JSON form, validation and reading."""
