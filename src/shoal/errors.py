"""Every error that shoal raises on purpose.

All derive from `ShoalError`; the command line prints their message alone (no traceback)
and exits with `exit_code`. A message names the place (file, column, row, id) and the way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


class ShoalError(Exception):
    """Base class of all errors that a user can cause and repair."""

    exit_code = 2


class DataError(ShoalError, ValueError):
    """A log, a table or an option cannot be used as it is."""


class NoRowsError(DataError):
    """A log has no row, or none that is left by what was asked for."""


class FileError(DataError):
    """A file holds things that cannot be used; the message tells the first, in one line.

    Parameters
    ----------
    path : str or Path
    problems : sequence of (int or None, str)
        All of them, each with its line, in the order of the file; at least one.
    hint : str
        A sentence that says what should be in the file.
    """

    def __init__(
        self, path: str | Path, problems: Sequence[tuple[int | None, str]], hint: str
    ) -> None:
        self.problems, self.hint = tuple(problems), hint
        line, first = self.problems[0]
        end, others = "" if first.endswith("?") else ".", len(self.problems) - 1
        if others:
            is_question = first.endswith("?")
            end = f"{'' if is_question else ';'} {'And' if is_question else 'and'} {others} more: "
            end += f"`shoal validate {path}` lists them."
        where = ": " if line is None else f", line {line}: "
        super().__init__(f"{path}{where}{first}{end} {hint}")
        self._given = (path, self.problems, hint)

    def __reduce__(self) -> tuple[Any, ...]:
        # an error that a worker raises travels to the process that waits for it
        return type(self), self._given


class HistoryError(ShoalError, ValueError):
    """A request for recommendations that cannot be answered (k of 0, unknown user, ...)."""


class ModelError(ShoalError, ValueError):
    """A model or its hyper-parameters are unknown or out of bounds."""


class NotFittedError(ModelError):
    """A model was asked for scores before it was fitted."""


class ArtifactError(ShoalError, ValueError):
    """A model folder is missing, truncated, altered, or of another format version."""


class MemoryBudgetError(ShoalError, MemoryError):
    """A step needs more memory than the budget allows; nothing has been allocated."""


class DownloadError(ShoalError, OSError):
    """A public data set could not be fetched."""


class EmbeddingError(ShoalError, RuntimeError):
    """A language model or an endpoint did not give vectors for the texts that it was given."""


class EventError(ShoalError, ValueError):
    """An event cannot be stored as it is: an id, a type, a value or a time is not allowed."""


class EventsUnavailable(ShoalError, RuntimeError):  # noqa: N818 - a state, not a mistake
    """The database of events cannot be used now: locked, full, down, or not one of shoal's."""


class MissingExtraError(ShoalError, ImportError):
    """A feature needs an optional dependency; the message says which extra to install."""


class ClusterError(ShoalError, RuntimeError):
    """The machines of a cluster cannot be used: none answers, they differ, or one was lost."""


class ForkError(ShoalError, RuntimeError):
    """A step cannot work in this process, which was forked after threads had started."""


class TrainingError(ShoalError, RuntimeError):
    """Training failed, or cannot be continued from a checkpoint."""


class TrainingWarning(UserWarning):
    """Training stopped early because something went wrong; the best weights so far are kept."""


class PolicyWarning(UserWarning):
    """A key of a policy file does nothing for its model; the message says why."""


class RequestError(ShoalError, RuntimeError):
    """A service did not answer, or refused a request; the message says why and what to do.

    Attributes
    ----------
    status : int or None
        The HTTP status; None where no answer came.
    problem : dict
        The service's own account of the problem, as RFC 9457 names its fields; may be empty.
    request_id : str or None
        By which the service's log names the request.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        problem: dict[str, Any] | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem or {}
        self.request_id = request_id


def first_line(error: BaseException) -> str:
    """The first line of what an error of another library says."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
