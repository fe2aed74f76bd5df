"""Backbone networks with the parameter names of their published weights."""
