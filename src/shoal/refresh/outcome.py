"""What came of a refresh."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Outcome:
    """What came of a refresh that ran to its end.

    Parameters
    ----------
    status : {"published", "refused", "unchanged"}
        Whether a new version is live; or is not since it would be worse or cannot be compared, or
        since the data and the settings are those of the live version.
    version : str or None
        The live version now.
    previous : str or None
        The live version before.
    reason : str
        Why it was published or not, in a sentence.
    model : str
        Name of the model that was trained.
    metric : str
    candidate, live : float or None
        Mean of the metric for the new model and for the one that it was compared with; None if
        they were not compared.
    difference, se : float or None
        Mean difference per user, and its standard error.
    compared_with : str
        What `live` is about.
    protocol : str
        What was held out.
    users_compared : int
    users, items, interactions : int
        Of the whole log.
    events : int
        Rows that came from the events.
    deleted_users : int
        Users whose rows are left out since they asked for it.
    updated_rank : int
        Rows by which the compared model was updated in place of a second fit; 0 after a fit.
    removed : list of str
        Versions that were pruned.
    seconds : dict of str to float
        By step.
    notes : list of str
    """

    status: Literal["published", "refused", "unchanged"]
    version: str | None
    previous: str | None
    reason: str
    model: str
    metric: str = ""
    candidate: float | None = None
    live: float | None = None
    difference: float | None = None
    se: float | None = None
    compared_with: str = ""
    protocol: str = ""
    users_compared: int = 0
    users: int = 0
    items: int = 0
    interactions: int = 0
    events: int = 0
    deleted_users: int = 0
    updated_rank: int = 0
    removed: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def published(self) -> bool:
        """Whether a new version is live."""
        return self.status == "published"

    @staticmethod
    def of_dict(values: dict[str, Any]) -> Outcome:
        """The outcome that `to_dict` made plain data of."""
        return Outcome(**{name: value for name, value in values.items() if name != "published"})

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"published": self.published, **asdict(self)}
