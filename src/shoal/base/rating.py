"""The base class of rating models: it trains a network on ratings, and rates pairs with it.

A network reads a row of ratings (all ratings by a user, or all ratings of an item) and predicts the
ratings of the whole row, f(W·code + b), where the code is its last hidden layer. A fitted model
keeps the code of each training row and the output layer, so it rates a known pair of user and item
by one inner product, without the training data and without torch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PrivateAttr

from shoal.base.declared import ArraySpec, Spec
from shoal.base.deep import ROWS_AT_ONCE, DeepRecommender, torch_or_advice
from shoal.base.fitted_ratings import FittedRatings, check_ratings
from shoal.base.hyper import hyper
from shoal.base.recommender import Recommender, Validation
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.errors import DataError, ModelError, NotFittedError
from shoal.kernels import pairs
from shoal.kernels.arrays import Bool, Float, State
from shoal.run import Run
from shoal.splitting.held_out import HeldOut

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Outcome

Codes = NDArray[Any]  # (m,) integers: row numbers of users, or column numbers of items
_OUTPUT = "decode."  # prefix of the names of the output layer's tensors


class RatingRecommender(DeepRecommender):
    """Base class of models that predict ratings.

    A subclass defines `_build` (a network whose output layer is called ``decode``), `_code` and
    `_loss`. Its `score` takes histories of ratings, also of users that are not in the training
    data, and returns predicted ratings of all items.
    """

    task: ClassVar[str] = "rating"
    metric: ClassVar[str] = "neg_rmse"  # −RMSE of the validation ratings: higher is better
    by_item: ClassVar[bool] = False  # whether the network reads the ratings of an item, not a user

    cold: float | None = hyper(
        None,
        "prediction for a user or item without training rating; none: the mean training rating",
        allow_inf_nan=False,
    )

    _fitted: FittedRatings | None = PrivateAttr(None)
    _training: Interactions | None = PrivateAttr(None)  # the training data, during the fit only

    # -- methods that a model defines ------------------------------------------------------

    @abstractmethod
    def _code(
        self, network: Any, batch: Batch, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Last hidden layer of the rows of a batch, (B, d); random only if a generator is given."""

    def _activate(self, x: Float) -> Float:
        """Apply the activation f of the output layer to each number; the identity by default."""
        return x

    # -- ratings ---------------------------------------------------------------------------

    @property
    def known(self) -> FittedRatings:
        """The fitted arrays.

        Raises
        ------
        NotFittedError
        """
        if self._fitted is None:
            raise NotFittedError(f"{self.name} has not been fitted: call fit(interactions) first")
        return self._fitted

    def rate(self, users: Codes, items: Codes) -> Float:
        """Predict the ratings of pairs of a user and an item.

        Parameters
        ----------
        users, items : (m,) integers
            Row and column numbers of the training data.

        Returns
        -------
        (m,) float32
            Within the range of the training ratings. If the user or the item of a pair is cold:
            `cold`, or the mean training rating where that is None.
        """
        return self._ratings(users, items, self._outputs(users, items))

    def _outputs(self, users: Codes, items: Codes) -> Float:
        """The numbers of the output layer for pairs, before its activation, (m,) float32."""
        known = self.known
        rows, columns = (items, users) if self.by_item else (users, items)
        # sorted by rows, so that the code of a row stays in the cache
        order = np.argsort(rows, kind="stable")
        x = np.empty(len(order), np.float32)
        row, column = (np.asarray(c)[order].astype(np.int64) for c in (rows, columns))
        x[order] = pairs.products(row, column, known.codes, known.weight) + known.bias[column]
        return x

    def _ratings(self, users: Codes, items: Codes, outputs: Float) -> Float:
        """The predicted ratings of pairs, from what `_outputs` returned for them."""
        known = self.known
        ratings = np.clip(self._activate(outputs), np.float32(known.low), np.float32(known.high))
        return np.where(self.is_cold(users, items), np.float32(self.default_rating), ratings)

    def rate_for_history(self, history: CSR, items: Codes) -> Float:
        """Predict the ratings of a person who need not be in the training data.

        Parameters
        ----------
        history : CSR array (1, n_items)
            The ratings that the person has given.
        items : (m,) integers
            Column numbers of the training data.

        Returns
        -------
        (m,) float32
            Within the range of the training ratings; for a cold item the default, as of `rate`.

        Raises
        ------
        ModelError
            The model is `by_item`: it knows the users that it was trained on alone.
        """
        known = self.known
        scores = self.score(history)[0, items]
        ratings = np.clip(scores, np.float32(known.low), np.float32(known.high))
        return np.where(known.items[items], ratings, np.float32(self.default_rating))

    @property
    def default_rating(self) -> float:
        """The rating of a pair of which the model knows nothing."""
        return self.known.mean if self.cold is None else self.cold

    def is_cold(self, users: Codes, items: Codes) -> Bool:
        """Whether the user or the item of each pair has no training rating, (m,) bool."""
        return ~(self.known.users[users] & self.known.items[items])

    # -- the fit ---------------------------------------------------------------------------

    def _check_validation(self, validation: Validation | None, interactions: Interactions) -> None:
        """Refuse validation data other than ratings by the users and of the items in training."""
        if isinstance(validation, HeldOut):
            raise DataError(
                f"{self.name} validates on ratings, and this is a split for ranking: split with "
                "split_ratings(log)"
            )
        if validation is not None:
            check_ratings(self.name, validation, interactions)

    def check_can_fit(self, interactions: Interactions, run: Run) -> None:
        """Raise the errors of the base class, and one if the log holds no ratings."""
        super().check_can_fit(interactions, run)
        values = interactions.values
        if values is None:
            raise DataError(
                f"{self.name} predicts ratings, and these data hold none: read the log with "
                "values='keep' (--values keep), or take a model that ranks (ease, mult-vae, …)"
            )
        if (values == values[0]).all():
            raise DataError(
                f"{self.name} predicts ratings, and these are all {values[0]:g}: name the column "
                "of ratings (--columns value=…), or take a model that ranks (ease, mult-vae, …)"
            )

    def _fit_validated(
        self, interactions: Interactions, validation: Validation | None, run: Run
    ) -> None:
        self._training = interactions
        try:
            super()._fit_validated(interactions, validation, run)
            self._tabulate()
        finally:
            self._training = None
        if self.by_item:
            self._network = None  # its input layer can only read ratings by training users

    def _examples(self, interactions: Interactions) -> CSR:
        matrix = interactions.matrix
        return CSR(matrix.T.tocsr()) if self.by_item else matrix

    def rows_and_columns(self, n_users: int, n_items: int) -> tuple[int, int]:
        """Shape of the training matrix; its rows are items if the model is `by_item`."""
        return (n_items, n_users) if self.by_item else (n_users, n_items)

    @property
    def _widths(self) -> list[int]:
        """Widths of the hidden layers; the layer below the output is as wide as the first."""
        return [int(self.factors)]  # type: ignore[attr-defined]

    def bytes_to_fit(self, size: Size) -> int:
        """Memory of the training, of the codes of all rows, and of a copy of the output layer."""
        rows, columns = self.rows_and_columns(size.n_users, size.n_items)
        return super().bytes_to_fit(size) + 4 * self._widths[0] * (rows + columns)

    def _bytes_of_scores(self, size: Size) -> int:
        return 0  # validation rates pairs

    def bytes_of_model(self, size: Size) -> int:
        """Size of the output layer, the codes, and the rest of the network if it is kept."""
        rows, columns = self.rows_and_columns(size.n_users, size.n_items)
        tensors = self._outline(size.n_items)
        width = tensors[f"{_OUTPUT}weight"].shape[1]
        rest = sum(t.numel() for n, t in tensors.items() if not n.startswith(_OUTPUT))
        n_floats = rows * width + columns * (width + 1) + (0 if self.by_item else rest)
        return 4 * n_floats + size.n_users + size.n_items

    def _tabulate(self) -> None:
        """Set the fitted arrays from the network as it is now."""
        assert self._training is not None
        values = self._training.values
        assert values is not None
        output, self._fitted = self._network.decode, None  # lets the codes before go
        weight, bias = (
            t.detach().float().cpu().numpy().copy() for t in (output.weight, output.bias)
        )
        self._fitted = FittedRatings(
            self._all_codes(self._examples(self._training)),
            weight,
            bias,
            float(values.min()),
            float(values.max()),
            float(values.mean(dtype=np.float64)),
            np.diff(self._training.indptr) > 0,
            self._training.item_counts > 0,
        )

    def _all_codes(self, rows: CSR) -> Float:
        """Codes of all rows of the training matrix, (rows, d), from the network as it is now."""
        import torch

        from shoal.training.batches import Batch

        network = self._network
        device = next(network.parameters()).device
        network.eval()
        with torch.inference_mode():
            codes: Float = np.empty((rows.shape[0], self._widths[0]), np.float32)
            for begin in range(0, rows.shape[0], ROWS_AT_ONCE):
                part = Batch.of(rows[begin : begin + ROWS_AT_ONCE], None, device)
                codes[begin : begin + len(part)] = self._code(network, part).float().cpu()
        return codes

    def _validation_metric(self, validation: Any) -> Any:
        """A function without arguments: −RMSE on the validation ratings, by the network as it is.

        The network reads training rows only. The result is NaN if a prediction, before it is
        limited to the range of the ratings, is NaN or infinite.
        """
        from shoal.training.divergence import all_finite

        users, items = validation.user_codes, validation.indices
        truth = validation.values.astype(np.float64)

        def judge() -> float:
            self._tabulate()
            outputs = self._outputs(users, items)
            if not all_finite(outputs):
                return float("nan")
            return -float(np.sqrt(np.mean((self._ratings(users, items, outputs) - truth) ** 2)))

        return judge

    def _facts_of(self, outcome: Outcome) -> dict[str, float]:
        facts = super()._facts_of(outcome)
        best = facts.pop(f"validation_{self.metric}", None)
        return facts if best is None else facts | {"validation_rmse": -best}

    def take_catalogue(self, interactions: Interactions) -> None:
        """Keep the ids of the items, and also those of the users."""
        super().take_catalogue(interactions)
        self._users = interactions.users

    # -- scores and fitted arrays ----------------------------------------------------------

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        x: torch.Tensor = network.decode(self._code(network, batch))
        return x

    def _network_scores(self, rows: CSR) -> Float:
        return super()._score(rows)  # rows may be items; no activation, which may hide infinity

    def _score(self, histories: CSR) -> Float:
        if self.by_item:
            raise ModelError(
                f"{self.name} rates for the users that it was trained on, not for histories: use "
                "predict(model, user, items) (shoal predict), or u-autorec"
            )
        return self._activate(super()._score(histories))

    def state(self) -> State:
        """The arrays of `FittedRatings`, and the rest of the network if it is kept."""
        known = self.known
        arrays: State = {
            "codes": known.codes,
            "weight": known.weight,
            "bias": known.bias,
            "low_high_mean": np.array([known.low, known.high, known.mean]),
            "known.users": known.users,
            "known.items": known.items,
        }
        if self._network is not None:
            for name, tensor in self._network.state_dict().items():
                if not name.startswith(_OUTPUT):
                    arrays[f"network.{name}"] = tensor.cpu().numpy()
        return arrays

    def restore(self, state: State) -> None:
        """Restore the arrays that `state` returned, and build the network if it was kept."""
        low, high, mean = (float(x) for x in state["low_high_mean"])
        self._fitted = FittedRatings(
            state["codes"],
            state["weight"],
            state["bias"],
            low,
            high,
            mean,
            state["known.users"],
            state["known.items"],
        )
        if self.by_item:
            return
        torch_or_advice(self.name)
        arrays = {
            n.removeprefix("network."): a for n, a in state.items() if n.startswith("network.")
        }
        arrays |= {f"{_OUTPUT}{n}": state[n] for n in ("weight", "bias")}
        self._network = self._restored(arrays, len(self._fitted.weight))

    def state_spec(self, names: Collection[str], n_items: int) -> Spec:
        """The arrays of `FittedRatings`, the network if it is kept, and `state_arrays`."""
        rows, columns = ("n_items", "n_users") if self.by_item else ("n_users", "n_items")
        kept: list[ArraySpec] = []
        width: int | str = "width"
        if not self.by_item:
            for part in super().state_spec(names, n_items):
                if isinstance(part, ArraySpec) and part.name == f"{_OUTPUT}weight":
                    width = part.shape[1]
                elif isinstance(part, ArraySpec) and not part.name.startswith(_OUTPUT):
                    kept += [] if part.size else [replace(part, name=f"network.{part.name}")]
        return (
            ArraySpec("codes", (rows, width)),
            ArraySpec("weight", (columns, width)),
            ArraySpec("bias", (columns,)),
            ArraySpec("low_high_mean", (3,), "float64"),
            ArraySpec("known.users", ("n_users",), "bool"),
            ArraySpec("known.items", ("n_items",), "bool"),
            *kept,
            *self.state_arrays,
        )


def as_rater(model: Recommender) -> RatingRecommender:
    """Return the model if it predicts ratings, else raise an error.

    Raises
    ------
    ModelError
        The model ranks items.
    """
    if not isinstance(model, RatingRecommender):
        raise ModelError(
            f"{model.name} ranks items and predicts no ratings: take i-autorec, u-autorec or "
            "deeprec, or ask it to recommend"
        )
    return model
