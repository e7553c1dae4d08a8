"""Experiments online: variants of a recommender by shares of the users, and which is better."""

from __future__ import annotations

from shoal.online.definition import Experiment, Guards, Variant, read_experiment

__all__ = ("Experiment", "Guards", "Variant", "read_experiment")
