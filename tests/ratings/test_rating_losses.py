"""Losses of rating models by hand, and their gradients by finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from shoal.models.autorec import IAutoRec, UAutoRec
from shoal.models.deeprec import DeepRec
from shoal.training import layers, ratings
from shoal.training.learner import Clock

from .rating_helpers import SMALL, batch_of, in_double, loss_of, parameters, selu, sigmoid, table

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
