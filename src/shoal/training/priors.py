"""Priors of codes other than N(0, I): RecVAE's composite prior, and the VampPrior."""

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
    """Return the log-density of RecVAE's composite prior, in each dimension.

    It is a mixture of N(0, 1), an old posterior, and N(0, e¹⁰), made in each dimension separately
    (Shenbin et al., WSDM 2020, section 3.2).

    Parameters
    ----------
    z : (B, d)
    old : (mean, log-variance), each (B, d)
    shares : three floats
        Weights of the three parts.

    Returns
    -------
    Tensor (B, d)
    """
    zero = torch.zeros_like(wide(z))
    parts = ((zero, zero), old, (zero, zero + 10))
    logs = [log_normal(z, *part) + log(share) for part, share in zip(parts, shares, strict=True)]
    return torch.stack(logs).logsumexp(dim=0)


def log_vamp(z: torch.Tensor, means: torch.Tensor, log_variances: torch.Tensor) -> torch.Tensor:
    """Return log 1/K Σ_k N(z; means_k, exp log_variances_k) (Tomczak and Welling, 2018).

    Parameters
    ----------
    z : (B, d)
    means, log_variances : (K, d)
        Posteriors of K pseudo-users.

    Returns
    -------
    Tensor (B,)
    """
    z, means, log_variances = wide(z), wide(means), wide(log_variances)
    centre = means.mean(dim=0).detach()  # smaller squares, so less rounding
    z, means = z - centre, means - centre
    precisions = (-log_variances).exp()
    # Σ_d (z − m)²/v as three products, without a (B, K, d) tensor
    squares = z**2 @ precisions.T - 2 * z @ (means * precisions).T
    squares = squares + (means**2 * precisions).sum(dim=1)
    logs = -0.5 * (squares + log_variances.sum(dim=1) + z.shape[1] * log(2 * pi))
    return logs.logsumexp(dim=1) - log(len(means))
