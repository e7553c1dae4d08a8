"""Every error that shoal raises on purpose.

All derive from `ShoalError`; the command line prints their message alone (no traceback)
and exits with `exit_code`. A message names the place (file, column, row, id) and the way out.
"""

from __future__ import annotations


class ShoalError(Exception):
    """Base of all errors that a user can cause and mend."""

    exit_code = 2


class DataError(ShoalError, ValueError):
    """The interaction log, or what is asked of it, cannot be used as it is."""


class HistoryError(ShoalError, ValueError):
    """A request for recommendations that cannot be answered (k of 0, unknown user, ...)."""


class ModelError(ShoalError, ValueError):
    """A model or its hyper-parameters are unknown or out of bounds."""


class NotFittedError(ModelError):
    """A model was asked for scores before it was fitted."""


class ArtifactError(ShoalError, ValueError):
    """A model folder is missing, truncated, altered, or of another format version."""


class MemoryBudgetError(ShoalError, MemoryError):
    """What was asked needs more memory than the budget; nothing has been allocated."""


class DownloadError(ShoalError, OSError):
    """A public data set could not be fetched."""


class EmbeddingError(ShoalError, RuntimeError):
    """A language model or an endpoint did not give vectors for the texts that it was given."""


class MissingExtraError(ShoalError, ImportError):
    """A feature needs an optional dependency; the message says which extra to install."""


class TrainingError(ShoalError, RuntimeError):
    """Training could not go on, or may not be continued from a checkpoint."""


class TrainingWarning(UserWarning):
    """Training stopped early for a reason, and what was good was kept."""
