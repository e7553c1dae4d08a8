"""Models that hosted recommenders have and shoal has not, and what to take in their place."""

from __future__ import annotations

_BY_FACTORS = ("elsa", "spectral-ease"), "which learn vectors of items from the same log"
_BY_RANKING = ("ease", "rdlae"), "which rank by histories alone, without features"
_BY_ORDER = ("svae",), "which reads histories in their order too"
_BY_TEXTS = ("l3ae", "ease-text"), "which read vectors of items' texts (`shoal embed`)"
_FOR_ALL = ("popularity",), "which counts users per item"

Nearest = tuple[tuple[str, ...], str]

# folded name → what it is; the nearest models of shoal by purpose, and why these
ABSENT: dict[str, tuple[str, Nearest]] = {
    "als": ("a matrix factorisation", _BY_FACTORS),
    "svd": ("a matrix factorisation", (("spectral-ease",), "which is made of singular vectors")),
    "nmf": ("a matrix factorisation", _BY_FACTORS),
    "bpr": ("a matrix factorisation", _BY_FACTORS),
    "item2vec": ("an embedding of items", _BY_FACTORS),
    "twotower": ("a retrieval model with features", _BY_FACTORS),
    "lightgbm": ("a ranker of features", _BY_RANKING),
    "xgboost": ("a ranker of features", _BY_RANKING),
    "gbdt": ("a ranker of features", _BY_RANKING),
    "deepfm": ("a ranker of features", _BY_RANKING),
    "widedeep": ("a ranker of features", _BY_RANKING),
    "sasrec": ("a model of sequences", _BY_ORDER),
    "gsasrec": ("a model of sequences", _BY_ORDER),
    "contentgsasrec": ("a model of sequences", _BY_ORDER),
    "bert4rec": ("a model of sequences", _BY_ORDER),
    "gru4rec": ("a model of sequences", _BY_ORDER),
    "ngram": ("a model of sequences", _BY_ORDER),
    "semanticids": ("a model of texts and sequences", _BY_TEXTS),
    "beeformer": ("a model of items' texts", _BY_TEXTS),
    "risingpopular": ("a list for everyone", _FOR_ALL),
    "toplist": ("a list for everyone", _FOR_ALL),
    "trending": ("a list for everyone", _FOR_ALL),
}

_OVER_MODELS = ("autotune",)


def why_absent(policy_type: str) -> str | None:
    """What to take in place of a model that shoal has not; None where the name is no such model.

    Parameters
    ----------
    policy_type : str
        As a hosted recommender writes it: ``two-tower``, ``Wide & Deep``, …
    """
    name = "".join(c for c in policy_type.lower() if c.isalnum())
    if name in _OVER_MODELS:
        return (
            f"{policy_type} is no model: list models under training.models, and "
            "`shoal run FILE --data LOG` tunes and compares them"
        )
    for candidate in (name, name.removesuffix("v2"), name.replace("and", "")):
        if candidate in ABSENT:
            what, (nearest, why) = ABSENT[candidate]
            return (
                f"shoal has no model {policy_type}, which is {what}: take "
                f"{' or '.join(nearest)}, {why}"
            )
    return None
