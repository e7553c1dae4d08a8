"""Priors of codes that are more than N(0, I): RecVAE's composite one, and the VampPrior."""

from __future__ import annotations

from math import log, pi

import torch

from shoal.training.batches import wide
from shoal.training.layers import log_normal


def log_composite(
    z: torch.Tensor,
    old: tuple[torch.Tensor, torch.Tensor],
    shares: tuple[float, float, float] = (3 / 20, 3 / 4, 1 / 10),
) -> torch.Tensor:
    """Logarithm of a mixture in each dimension: N(0, 1), an old posterior, and N(0, e¹⁰).

    RecVAE, section 3.2 (Shenbin et al., WSDM 2020); the mixture is of numbers, not of vectors.

    Parameters
    ----------
    z : (B, d)
    old : (mean, log-variance), each (B, d)
    shares : of the three parts

    Returns
    -------
    Tensor (B, d)
    """
    zero = torch.zeros_like(wide(z))
    parts = ((zero, zero), old, (zero, zero + 10))
    logs = [log_normal(z, *part) + log(share) for part, share in zip(parts, shares, strict=True)]
    return torch.stack(logs).logsumexp(dim=0)


def log_vamp(z: torch.Tensor, means: torch.Tensor, log_variances: torch.Tensor) -> torch.Tensor:
    """Logarithm of 1/K Σ_k N(z; means_k, exp log_variances_k) (Tomczak and Welling, 2018).

    Parameters
    ----------
    z : (B, d)
    means, log_variances : (K, d)
        What an encoder says of K pseudo-users.

    Returns
    -------
    Tensor (B,)
    """
    z, means, log_variances = wide(z), wide(means), wide(log_variances)
    middle = means.mean(dim=0).detach()  # smaller squares, so less rounding
    z, means = z - middle, means - middle
    precisions = (-log_variances).exp()
    # Σ_d (z − m)²/v as three products, so that no (B, K, d) is made
    squares = z**2 @ precisions.T - 2 * z @ (means * precisions).T
    squares = squares + (means**2 * precisions).sum(dim=1)
    logs = -0.5 * (squares + log_variances.sum(dim=1) + z.shape[1] * log(2 * pi))
    return logs.logsumexp(dim=1) - log(len(means))
