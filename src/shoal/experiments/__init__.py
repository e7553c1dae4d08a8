"""Experiments with models: compare them, tune them, and plan what a fit will take."""
