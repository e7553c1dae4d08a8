"""Finished runs, reported to MLflow and Comet."""

from shoal.experiments.trackers.track import TRACKERS, check_names, track

__all__ = ["TRACKERS", "check_names", "track"]
