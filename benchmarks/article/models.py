"""Who is in the table, with which settings. Another model joins by a line in `ENTRIES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from shoal import metrics
from shoal.base.deep import DeepRecommender
from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR
from shoal.kernels import topk
from shoal.models.cdae import CDAE
from shoal.models.ease import EASE
from shoal.models.mult_dae import MultDAE
from shoal.models.mult_vae import MultVAE
from shoal.models.popularity import Popularity
from shoal.models.svae import SVAE
from shoal.splitting.held_out import HeldOut
from shoal.training.batches import Batch

METRICS = ("precision@100", "recall@100", "recall_full@100", "ndcg@100")
BLOCK = 1_000  # users
Settings = Mapping[str, Any]


class DAE(CDAE):
    """CDAE without the user's node: the article's other denoising autoencoder."""

    name: ClassVar[str] = "dae"

    def _code(self, network: Any, batch: Batch) -> torch.Tensor:
        return super()._code(network, replace(batch, users=torch.full_like(batch.users, -1)))


@dataclass(frozen=True)
class Entry:
    """A row of the tables.

    Parameters
    ----------
    label : str
    model : type of Recommender
    published : settings or None
        What the article's code has, as far as the model has such an option; None: not there.
    ours : sequence of settings
        For the other tasks; of several, the one that is best on validation.
    """

    label: str
    model: type[Recommender]
    published: Settings | None
    ours: Sequence[Settings] = ({},)


# its loss counts each of the 3,706 items alike: 27 unobserved ones for each of 132 observed ones
_ARTICLE_CDAE = {"factors": 50, "lr": 0.01, "scaled": True, "negatives": 27.0, "batch_size": 512}
_ARTICLE_VAE = {"hidden": 0, "factors": 200, "lr": 0.01, "batch_size": 512}
_LONG = {"n_epochs": 300, "patience": 20}
_EPOCHS = {"n_epochs": 150, "patience": 20}

ENTRIES = (
    Entry("popularity", Popularity, {}),
    Entry("EASE λ=1000 (ESAE)", EASE, {"l2": 1000.0}, ({"l2": 1000.0},)),
    Entry(
        "EASE, λ chosen",
        EASE,
        None,
        tuple({"l2": float(l2)} for l2 in (50, 100, 200, 300, 500, 1000, 2000)),
    ),
    Entry("CDAE", CDAE, _ARTICLE_CDAE | _EPOCHS, (_LONG,)),
    Entry("DAE", DAE, _ARTICLE_CDAE | _EPOCHS, (_LONG,)),
    Entry("Mult-DAE", MultDAE, {"lr": 0.01, "batch_size": 512} | _EPOCHS, (_LONG,)),
    Entry("Mult-VAE", MultVAE, _ARTICLE_VAE | _EPOCHS, (_LONG,)),
    Entry("SVAE", SVAE, {}),
)


def scores(model: Recommender, histories: CSR, users: slice, *, at_home: bool) -> Any:
    """Scores of some rows; `at_home`, rows are those of the training data, with their nodes."""
    if not (at_home and isinstance(model, DeepRecommender)):
        return model._score(histories[users])
    network = model._network
    network.eval()
    device = next(network.parameters()).device
    numbers = np.arange(users.start, users.stop)
    with torch.inference_mode():
        found = model._scores(network, Batch.of(histories, numbers, device))
    return found.float().cpu().numpy()


def measure(
    model: Recommender, part: HeldOut, *, at_home: bool, masked: bool
) -> dict[str, NDArray[np.float64]]:
    """Each metric for each user. Not `masked`, items of the history may stand in the lists."""
    rows, target = model.histories(part.history), part.target
    counts = np.diff(target.indptr)
    allowed = np.ones(rows.shape[1], np.bool_)
    hits = []
    for begin in range(0, rows.shape[0], BLOCK):
        users = slice(begin, min(begin + BLOCK, rows.shape[0]))
        block = rows[users]
        seen = block.indptr.astype(np.int64), block.indices.astype(np.int32)
        if not masked:
            seen = np.zeros_like(seen[0]), np.empty(0, np.int32)
        items, _ = topk.best(scores(model, rows, users, at_home=at_home), 100, *seen, allowed)
        extents = target.indptr[begin : users.stop + 1]
        hits.append(topk.hits(items, extents, target.indices, rows.shape[1]))
    found = np.concatenate(hits)
    wanted = {name: metrics.parse(name) for name in METRICS}
    return {n: metrics.ACCURACY[m.base](found, counts, m.k) for n, m in wanted.items()}


def at_home(model: type[Recommender], *, masked: bool) -> type[Recommender]:
    """The model, whose epoch is chosen with users at their own nodes and lists (un)masked."""
    if not issubclass(model, DeepRecommender):
        return model

    class AtHome(model):  # type: ignore[misc, valid-type]
        def _validation_metric(self, validation: HeldOut) -> Callable[[], float]:
            return lambda: float(
                measure(self, validation, at_home=True, masked=masked)["ndcg@100"].mean()
            )

    return AtHome
