"""How many epochs to train, and how to weigh, where nothing is left to validate on."""

from __future__ import annotations

from dataclasses import replace

from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.experiments.tasks import task_of
from shoal.run import Run

FEW_USERS = 20  # with fewer users in a log, the validation part is too small to decide anything


def with_best_epochs(model: Recommender, log: Interactions, run: Run | None = None) -> Recommender:
    """The same model, unfitted, with the number of epochs and the weights that validate best.

    A tenth of the users (of the ratings, for a model that rates) is kept apart, the model is
    fitted to the others with early stopping, and the epoch that was best becomes `n_epochs`; a
    blend keeps the weights that were best. So a model for production can then be fitted to all,
    where nothing is left to validate on.

    Parameters
    ----------
    model : Recommender
        One with a part that is `trained`, or with something that is chosen by validation; others
        come back as they are, and so does every model where the log has fewer than 20 users.
    log : Interactions
    run : Run, optional
        Its checkpoint and log are left for the fit that follows.
    """
    if not (model.trained_parts() or model.chosen_by_validation) or log.n_users < FEW_USERS:
        return model
    # checkpoint and training log are for the fit that follows
    run = replace(run or Run(), checkpoint=None, training_log=None)
    probe = type(model)(**model.model_dump(exclude_unset=True))
    train, kept_apart = task_of(model).keep_tenth_apart(log, run.seed)
    return probe.fit(train, kept_apart, run).until_best()
