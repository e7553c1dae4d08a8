"""Sample-ratio mismatch: whether each variant has as many users as its share says.

Where it has not, something loses users of one variant (a page that fails, a list that is not
tracked, a cache), and those who are left cannot be compared. The test is sequential: it may be
looked at any number of times, and flags a healthy experiment with a probability of at most its
level, over all looks.

Source: Lindon and Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022. Users
are draws of a variant with the probabilities θ. The Bayes factor of probabilities that are unknown,
with the prior Dirichlet(α), against θ is a martingale with mean 1 if θ is true, so by Ville's
inequality it ever exceeds 1/p with a probability of at most p.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, lgamma, log

LEVEL = 0.01  # a p below is flagged
CONCENTRATION = 100.0  # of the prior around the shares: α = 100 θ, as the authors' own code has it


def mismatch_p(counts: Sequence[int], shares: Sequence[float]) -> float:
    """The p-value of the numbers of users, valid whenever one looks.

    Parameters
    ----------
    counts : sequence of int
        Users of each variant.
    shares : sequence of float
        The shares that they should have; they sum to 1.

    Examples
    --------
    >>> mismatch_p([0, 0], [0.5, 0.5])
    1.0
    >>> mismatch_p([5200, 4800], [0.5, 0.5]) < 0.01
    True
    """
    prior = [CONCENTRATION * share for share in shares]
    log_factor = lgamma(sum(prior)) - lgamma(sum(prior) + sum(counts))
    for count, share, alpha in zip(counts, shares, prior, strict=True):
        log_factor += lgamma(alpha + count) - lgamma(alpha) - count * log(share)
    return exp(min(0.0, -log_factor))
