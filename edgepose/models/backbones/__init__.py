"""Networks that turn an image into features, with the parameter names of their publications."""
