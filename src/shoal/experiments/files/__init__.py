"""Experiment files: a YAML file that says which models are compared, on what, and how."""
