"""Finished runs, reported to MLflow and Comet."""

from shoal.experiments.trackers.track import TRACKERS, Tracked, check_names, track

__all__ = ["TRACKERS", "Tracked", "check_names", "track"]
