"""AutoRec and DeepRec: losses and gradients by hand, patterns found again, and no leak."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import shoal
from shoal.data.interactions import CSR, Interactions
from shoal.data.split import split as split_ranking
from shoal.data.split_ratings import RatingSplit, split_ratings
from shoal.errors import DataError, HistoryError, ModelError, NotFittedError
from shoal.models.autorec import IAutoRec, UAutoRec
from shoal.models.deeprec import DeepRec
from shoal.models.rating import RatingRecommender
from shoal.run import Run
from shoal.testing.contract import from_dense
from shoal.training import layers, ratings
from shoal.training.batches import Batch
from shoal.training.loop import Clock
from shoal.tuning import tune, with_best_epochs

CPU = torch.device("cpu")
ONE = Run(threads=1)


def table(m: int = 30, n: int = 12, share: float = 0.5, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 6, (m, n)) * (rng.random((m, n)) < share)


def camps(m: int = 60, n: int = 20) -> tuple[Any, Any]:
    """Half of the users give 5 to even items and 1 to odd ones, the others 2 and 4."""
    first = (np.arange(m) % 2 == 0)[:, None]
    even = (np.arange(n) % 2 == 0)[None, :]
    whole = np.where(first, np.where(even, 5, 1), np.where(even, 2, 4))
    return whole, whole * (np.random.default_rng(1).random((m, n)) < 0.6)


def batch_of(matrix: Any, users: Any = None) -> Batch:
    return Batch.of(CSR(np.asarray(matrix, np.float32)), users, CPU)


def in_double(batch: Batch) -> Batch:
    return replace(batch, values=batch.values.double())


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def selu(x: Any) -> Any:
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))


def loss_of(model: RatingRecommender, network: Any, batch: Batch, step: int = 0) -> Any:
    """The loss of a model's `step`-th update on a batch."""
    losses = model._losses(network, batch, Clock(), torch.Generator().manual_seed(3))
    for _ in range(step):
        next(losses)
    return next(losses)


def parameters(network: Any) -> dict[str, Any]:
    return {n: p.detach().numpy().astype(np.float64) for n, p in network.named_parameters()}


# -- losses by hand -------------------------------------------------------------------------


def test_products_at_entries_are_those_of_the_whole_product() -> None:
    X = table(40, 30)
    batch = batch_of(X)
    generator = torch.Generator().manual_seed(0)
    code = torch.randn(40, 7, generator=generator, requires_grad=True)
    output = layers.dense(7, 30)
    with torch.no_grad():
        output.bias.normal_(generator=generator)
    mine = ratings.at_entries(code, output, batch)
    weights = torch.rand(mine.shape, generator=generator)
    own = torch.autograd.grad((mine * weights).sum(), (code, output.weight, output.bias))
    theirs = output(code)[torch.from_numpy(X > 0)]
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    expected = torch.autograd.grad((theirs * weights).sum(), (code, output.weight, output.bias))
    for a, b in zip(own, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [IAutoRec, UAutoRec])
def test_autorec_s_loss_is_the_paper_s(kind: type[IAutoRec]) -> None:
    """Σ over the ratings (r − ĥ)² + λ/2 (‖V‖² + ‖W‖²); equation 1 of Sedhain et al."""
    X = table()
    model = kind(factors=5, l2=7.0)
    network = model._build(*X.shape)
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(30)  # away from the straight part of the sigmoid
    p = parameters(network)
    R = (X.T if model.by_item else X).astype(np.float64)
    rebuilt = sigmoid(R @ p["encode.weight"] + p["encode.bias"]) @ p["decode.weight"].T
    errors = (rebuilt + p["decode.bias"] - R)[R > 0]
    decay = (p["encode.weight"] ** 2).sum() + (p["decode.weight"] ** 2).sum()
    expected = (errors**2).sum() + 7.0 / 2 * decay
    whole = loss_of(model, network, batch_of(R)).item() * len(R)
    assert whole == pytest.approx(expected, rel=1e-5)
    # minibatches add up to it: each has its part of λ
    parts = np.array_split(np.random.default_rng(0).permutation(len(R)), 4)
    total = sum(loss_of(model, network, batch_of(R, at)).item() * len(at) for at in parts)
    assert total == pytest.approx(expected, rel=1e-5)


def test_the_reference_code_s_lambda_of_100_is_400_here() -> None:
    """NNRec minimises ½Σe² + λ(‖V‖² + ‖W‖²): with λ = 100 the minimum of ours at 400."""
    X = table()
    model = UAutoRec(factors=5, l2=400.0)
    network = model._build(*X.shape).double()
    p, R = parameters(network), X.astype(np.float64)
    rebuilt = sigmoid(R @ p["encode.weight"] + p["encode.bias"]) @ p["decode.weight"].T
    errors = (rebuilt + p["decode.bias"] - R)[R > 0]
    decay = (p["encode.weight"] ** 2).sum() + (p["decode.weight"] ** 2).sum()
    theirs = 0.5 * (errors**2).sum() + 100 * decay
    ours = loss_of(model, network.float(), batch_of(R)).item() * len(R)
    assert ours == pytest.approx(2 * theirs, rel=1e-5)


def test_deeprec_s_losses_are_those_of_its_paper() -> None:
    X = table()
    model = DeepRec(hidden="6-5-4", dropout=0.0)
    network = model._build(*X.shape)
    p = parameters(network)

    def rebuild(x: Any) -> Any:
        x = selu(x @ p["encode.weight"] + p["encode.bias"])
        for name in ("down.0", "down.1", "up.0", "up.1", "decode"):
            x = selu(x @ p[f"{name}.weight"].T + p[f"{name}.bias"])
        return x

    batch = batch_of(X)
    y = rebuild(X.astype(np.float64))
    expected = ((y - X)[X > 0] ** 2).sum() / (X > 0).sum()  # one denominator for the batch
    assert loss_of(model, network, batch).item() == pytest.approx(expected, rel=1e-5)
    again = ((rebuild(y) - y) ** 2).mean()  # over all entries
    assert loss_of(model, network, batch, step=1).item() == pytest.approx(again, rel=1e-4)
    steps = list(model._losses(network, batch, Clock(), torch.Generator()))
    assert len(steps) == 2
    none = DeepRec(hidden="6-5-4", refeeds=0)
    assert len(list(none._losses(network, batch, Clock(), torch.Generator()))) == 1


def test_deeprec_drops_the_code_and_nothing_else() -> None:
    network = DeepRec(hidden="6-400")._build(30, 12)
    X = batch_of(table())
    seen: list[Any] = []
    network.up[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.below_output(X, 0.8, torch.Generator().manual_seed(0))
    network.below_output(X, 0.8, None)
    dropped, whole = seen
    kept = dropped != 0
    assert abs(kept.float().mean().item() - 0.2) < 0.01
    torch.testing.assert_close(dropped[kept], whole[kept] / 0.2)


def test_deeprec_s_rate_falls_at_the_milestones() -> None:
    model = DeepRec()
    (phase,) = model._phases(model._build(3, 4))
    assert phase.schedule is not None
    rates = [phase.schedule(e) for e in (0, 23, 24, 36, 48, 66, 72, 100)]
    assert rates == [1, 1, 0.5, 0.25, 0.125, 1 / 16, 1 / 32, 1 / 32]


# -- gradients ------------------------------------------------------------------------------

SMALL: list[RatingRecommender] = [
    IAutoRec(factors=4, l2=0.3),
    UAutoRec(factors=4, l2=0.3),
    DeepRec(hidden="5-4-3", dropout=0.4),
]


@pytest.mark.parametrize(("at", "step"), [(0, 0), (1, 0), (2, 0), (2, 1)])
def test_gradients_are_those_of_finite_differences(at: int, step: int) -> None:
    model, X = SMALL[at], table(6, 8)
    torch.manual_seed(0)
    network = model._build(*X.shape).double()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(torch.randn(p.shape, dtype=torch.float64) * 0.3)
    batch = in_double(batch_of(X.T if model.by_item else X))
    fed: Any = None
    if step:  # the target of the second loss stays what it was
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            hidden = network.below_output(batch, 0.4, generator)
            fed = torch.nn.functional.selu(network.decode(hidden))
        state = generator.get_state()

    def loss() -> Any:
        if not step:
            return loss_of(model, network, batch)
        generator.set_state(state)
        y = torch.nn.functional.selu(network.decode(network.below_output(fed, 0.4, generator)))
        return ((y - fed) ** 2).mean()

    exact = loss_of(model, network, batch, step)
    assert exact.item() == pytest.approx(loss().item(), rel=1e-12)
    exact.backward()
    for name, p in network.named_parameters():
        flat, gradient = p.data.view(-1), p.grad.view(-1)
        for i in np.random.default_rng(0).choice(len(flat), min(6, len(flat)), replace=False):
            before, sides = flat[i].item(), []
            for sign in (1, -1):
                flat[i] = before + sign * 1e-6
                with torch.no_grad():
                    sides.append(loss().item())
            flat[i] = before
            numeric = (sides[0] - sides[1]) / 2e-6
            assert gradient[i].item() == pytest.approx(numeric, rel=1e-4, abs=1e-7), name


# -- what is learned ------------------------------------------------------------------------

LEARNERS: list[RatingRecommender] = [
    IAutoRec(factors=6, l2=0.01, n_epochs=200),
    UAutoRec(factors=6, l2=0.01, n_epochs=200, optimiser="rprop", lr=0.03),
    UAutoRec(factors=6, l2=0.01, n_epochs=200, optimiser="adam", lr=0.02, batch_size=20),
    DeepRec(hidden="16-8", dropout=0.1, n_epochs=150, lr=0.02, batch_size=20, decay=1.0),
]


@pytest.mark.parametrize("at", range(4))
def test_a_pattern_is_found_again_where_it_was_hidden(at: int) -> None:
    whole, shown = camps()
    model = type(LEARNERS[at])(**LEARNERS[at].model_dump()).fit(from_dense(shown), run=ONE)
    users, items = np.nonzero(shown == 0)
    errors = model.rate(users, items) - whole[users, items]
    assert np.abs(errors).mean() < (0.1 if at < 3 else 0.4)
    if not model.by_item:  # someone new, who has rated as the second camp does
        new = model.score(CSR(np.where(np.arange(20) < 12, whole[[1]], 0).astype(np.float32)))[0]
        assert np.abs(new[12:] - whole[1, 12:]).mean() < (0.3 if at < 3 else 0.6)


def test_the_epoch_that_rates_best_is_kept() -> None:
    parts = split_ratings(from_dense(table(60, 20)), test=0.2, validation=0.2)
    assert parts.validation is not None
    model = UAutoRec(factors=30, l2=0.001, n_epochs=120, patience=0, lr=0.01)
    model.fit(parts.train, parts.validation, ONE)
    curve = [-row["neg_rmse"] for row in model.curve]
    assert model.facts["best_epoch"] == np.argmin(curve) + 1 < 120  # then it learns by heart
    assert model.facts["validation_rmse"] == min(curve)
    truth = parts.validation.values
    predicted = model.rate(parts.validation.user_codes, parts.validation.indices)
    assert np.sqrt(np.mean((predicted - truth) ** 2)) == pytest.approx(min(curve), rel=1e-5)


def test_a_model_for_all_ratings_takes_its_epochs_from_held_out_ones() -> None:
    log = from_dense(table(60, 20))
    chosen = with_best_epochs(UAutoRec(factors=30, l2=0.001, n_epochs=120, lr=0.01), log, ONE)
    assert isinstance(chosen, UAutoRec)
    assert 1 <= chosen.n_epochs < 120
    assert chosen.patience == 0


@pytest.mark.parametrize("at", range(3))
def test_predictions_stay_within_the_range_of_the_ratings(at: int) -> None:
    X = table(30, 12)
    X[X == 1] = 2
    model = type(SMALL[at])(**SMALL[at].model_dump() | {"n_epochs": 3}).fit(from_dense(X), run=ONE)
    users, items = (grid.ravel() for grid in np.indices(X.shape))
    predicted = model.rate(users, items)
    assert predicted.dtype == np.float32
    assert predicted.min() >= 2
    assert predicted.max() <= 5


@pytest.mark.parametrize("at", range(3))
def test_ratings_of_known_users_are_what_the_network_says(at: int) -> None:
    """The tables that are kept, against the network on the training rows."""
    X = table(30, 12)
    model = type(SMALL[at])(**SMALL[at].model_dump() | {"n_epochs": 3})
    log = from_dense(X)
    if model.by_item:
        kept: list[Any] = []
        tabulate = type(model)._tabulate
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                type(model), "_tabulate", lambda m: (tabulate(m), kept.append(m._network))[0]
            )
            model.fit(log, run=ONE)
        batch = batch_of(X.T)
        with torch.inference_mode():
            whole = model._scores(kept[-1], batch).numpy().T
    else:
        whole = model.fit(log, run=ONE).score(log.matrix)
    users, items = (grid.ravel() for grid in np.indices(X.shape))
    expected = whole.ravel().clip(1, 5)
    np.testing.assert_allclose(model.rate(users, items), expected, rtol=1e-4, atol=1e-4)


# -- no leak --------------------------------------------------------------------------------


def each_once() -> Interactions:
    """A log in which every rating is another number, so that a number says which one it is."""
    log = from_dense(table(60, 20))
    return replace(log, values=np.linspace(1, 5, len(log), dtype=np.float32))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> set[float]:
    """All values that were made into batches: what networks can see."""
    values: set[float] = set()
    real = Batch.of

    def spy(*arguments: Any) -> Batch:
        batch = real(*arguments)
        values.update(batch.values.tolist())
        return batch

    monkeypatch.setattr(Batch, "of", staticmethod(spy))
    return values


@pytest.mark.parametrize("at", range(3))
def test_no_held_out_rating_enters_the_network(at: int, seen: set[float]) -> None:
    parts = split_ratings(each_once(), "random", test=0.2, validation=0.2)
    assert parts.validation is not None
    model = type(SMALL[at])(**SMALL[at].model_dump() | {"n_epochs": 4})
    model.fit(parts.train, parts.validation, ONE)
    shoal.evaluate_ratings(model, parts, ONE)
    shoal.evaluate_ratings(model, parts, ONE, part="validation")
    shoal.predict(model, 1, [100, 101])
    assert seen == set(parts.train.values.tolist())


@pytest.mark.parametrize("at", range(3))
def test_other_test_ratings_change_no_prediction(at: int) -> None:
    log = each_once()
    parts = split_ratings(log, "random", test=0.2)
    held_out = np.isin(log.values, parts.test.values)
    other = split_ratings(
        replace(log, values=np.where(held_out, 6 - log.values, log.values)), "random", test=0.2
    )

    def predictions(parts: RatingSplit) -> tuple[Any, float]:
        model = type(SMALL[at])(**SMALL[at].model_dump() | {"n_epochs": 4})
        model.fit(parts.train, parts.validation, ONE)
        users, items = (grid.ravel() for grid in np.indices((60, 20)))
        return model.rate(users, items), shoal.evaluate_ratings(model, parts)["rmse"]

    (one, rmse), (two, other_rmse) = predictions(parts), predictions(other)
    np.testing.assert_array_equal(one, two)
    assert rmse != other_rmse


# -- in the user's own ids ------------------------------------------------------------------


def named() -> Interactions:
    rng = np.random.default_rng(0)
    rows = [(f"u{u:02}", f"i{i}", int(rng.integers(1, 6))) for u in range(20) for i in range(u % 9)]
    frame = pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")
    titles = pl.DataFrame({"item": [f"i{i}" for i in range(8)], "title": [*"abcdefgh"]})
    return shoal.read(frame, items=titles, values="keep")


@pytest.mark.parametrize("at", range(3))
def test_a_folder_predicts_as_before_without_the_log(at: int, tmp_path: Path) -> None:
    log = named()
    model = type(SMALL[at])(**SMALL[at].model_dump() | {"n_epochs": 3}).fit(log, run=ONE)
    before = shoal.predict(model, "u07", ["i3", "i0"])
    folder = shoal.save(model, tmp_path / "m")
    assert "users.parquet" in {p.name for p in folder.iterdir()}
    loaded = shoal.load(folder)
    assert loaded.users == log.users
    assert shoal.predict(loaded, "u07", ["i3", "i0"]) == before
    assert [r.item for r in before] == ["i3", "i0"]
    assert before[0].attributes == {"title": "d"}
    assert before.ratings == [r.rating for r in before]
    assert "i3  " in str(before)
    if not model.by_item:
        history = {"i1": 5.0, "i2": 1.0}
        assert shoal.recommend(loaded, history, 3).items == shoal.recommend(model, history, 3).items


def test_cold_ones_are_marked() -> None:
    parts = split_ratings(named(), "random", test=0.5, validation=0)
    counts = np.diff(parts.train.indptr)
    assert (counts == 0).any()
    cold = parts.train.users.take(np.flatnonzero(counts == 0))[0]
    found = shoal.predict(UAutoRec(factors=3, n_epochs=2).fit(parts.train), cold, ["i1", "i2"])
    assert [r.cold for r in found] == [True, True]
    assert found.ratings == [pytest.approx(float(parts.train.values.mean()))] * 2
    assert "(cold)" in str(found)
    three = UAutoRec(factors=3, n_epochs=2, cold=3.0).fit(parts.train)
    assert shoal.predict(three, cold, ["i1"]).ratings == [3.0]


def test_questions_that_have_no_answer_are_refused() -> None:
    log = named()
    model = IAutoRec(factors=3, n_epochs=2).fit(log)
    with pytest.raises(HistoryError, match="user 'ghost' is not among the 17"):
        shoal.predict(model, "ghost", ["i1"])
    with pytest.raises(HistoryError, match=r"1 of 2 items are not in the catalogue of 8: 'nope'"):
        shoal.predict(model, "u03", ["i1", "nope"])
    with pytest.raises(HistoryError, match="is one text"):
        shoal.predict(model, "u03", "i1")
    with pytest.raises(HistoryError, match="no item was asked for"):
        shoal.predict(model, "u03", [])
    with pytest.raises(ModelError, match="ease ranks items and predicts no ratings"):
        shoal.predict(shoal.EASE().fit(log), "u03", ["i1"])
    with pytest.raises(NotFittedError):
        shoal.predict(IAutoRec(), "u03", ["i1"])
    with pytest.raises(ModelError, match="not for histories"):
        shoal.recommend(model, ["i1"], 2)


@pytest.mark.parametrize("kind", [IAutoRec, UAutoRec, DeepRec])
def test_data_without_ratings_are_refused(kind: type[RatingRecommender]) -> None:
    with pytest.raises(DataError, match=r"hold none: read the log with values='keep'"):
        kind().fit(from_dense(table() > 0))
    threes = from_dense(table())
    with pytest.raises(DataError, match="these are all 3"):
        kind().fit(replace(threes, values=np.full(len(threes), 3, np.float32)))


def test_validation_must_be_ratings_of_the_same_users_and_items() -> None:
    log = from_dense(table())
    parts = split_ratings(log)
    model = UAutoRec(factors=2, n_epochs=2)
    with pytest.raises(DataError, match="a split for ranking"):
        model.fit(log, split_ranking(log, "weak").validation)
    with pytest.raises(DataError, match="over other users or items"):
        model.fit(parts.train, from_dense(table(29, 12)))
    assert parts.validation is not None
    with pytest.raises(DataError, match="holds no ratings"):
        model.fit(parts.train, replace(parts.validation, values=None))
    bad = parts.validation.values.copy()
    bad[2] = np.nan
    with pytest.raises(DataError, match="NaN"):
        model.fit(parts.train, replace(parts.validation, values=bad))
    with pytest.raises(ModelError, match="tuning is by metrics of rankings"):
        tune("u-autorec", log, split_ranking(log, "weak").validation)


def test_layers_are_written_with_dashes() -> None:
    assert DeepRec(hidden="256").hidden == "256"
    for wrong in ("512,512", "", "0-3", "a"):
        with pytest.raises(ModelError, match="hidden="):
            DeepRec(hidden=wrong)
