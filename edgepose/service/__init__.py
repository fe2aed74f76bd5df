"""``edgepose run``: cameras, model and sinks from one file, for years without a person at hand."""
