"""Models that hosted recommenders have and shoal has not, and what to take in their place."""

from __future__ import annotations

_FACTORS = ("elsa", "spectral-ease")
_SEQUENCES = ("svae",)
_TEXTS = ("l3ae", "ease-text")
_RANKERS = ("ease", "rdlae")

# folded name → what it is, the nearest models of shoal by purpose, why these
ABSENT: dict[str, tuple[str, tuple[str, ...], str]] = {
    "als": ("a matrix factorisation", _FACTORS, "learn vectors of items from the same log"),
    "svd": ("a matrix factorisation", _FACTORS[::-1], "learn vectors of items from the same log"),
    "nmf": ("a matrix factorisation", _FACTORS, "learn vectors of items from the same log"),
    "bpr": ("a matrix factorisation", _FACTORS, "learn vectors of items from the same log"),
    "item2vec": ("an embedding of items", _FACTORS, "learn vectors of items from histories"),
    "twotower": ("a retrieval model with features", _FACTORS, "learn vectors of items to retrieve by"),
    "lightgbm": ("a ranker of features", _RANKERS, "rank by histories alone, without features"),
    "xgboost": ("a ranker of features", _RANKERS, "rank by histories alone, without features"),
    "gbdt": ("a ranker of features", _RANKERS, "rank by histories alone, without features"),
    "deepfm": ("a ranker of features", _RANKERS, "rank by histories alone, without features"),
    "widedeep": ("a ranker of features", _RANKERS, "rank by histories alone, without features"),
    "sasrec": ("a model of sequences", _SEQUENCES, "reads histories in their order too"),
    "gsasrec": ("a model of sequences", _SEQUENCES, "reads histories in their order too"),
    "contentgsasrec": ("a model of sequences", _SEQUENCES, "reads histories in their order too"),
    "bert4rec": ("a model of sequences", _SEQUENCES, "reads histories in their order too"),
    "gru4rec": ("a model of sequences", _SEQUENCES, "reads histories in their order too"),
    "ngram": ("a model of sequences", _SEQUENCES, "reads histories in their order too"),
    "semanticids": ("a model of texts and sequences", _TEXTS, "read vectors of items' texts"),
    "beeformer": ("a model of items' texts", _TEXTS, "read vectors of items' texts (`shoal embed`)"),
    "risingpopular": ("a list for everyone", ("popularity",), "counts users per item"),
    "toplist": ("a list for everyone", ("popularity",), "counts users per item"),
    "trending": ("a list for everyone", ("popularity",), "counts users per item"),
    "random": ("a list for everyone", ("popularity",), "is the baseline here"),
    "autotune": (
        "a search over models", (),
        "list the models under training.models, and `shoal run FILE --data LOG` tunes and compares them",
    ),
}  # fmt: skip


def why_absent(policy_type: str) -> str | None:
    """What to take in place of a model that shoal has not; None where the name is no such model.

    Parameters
    ----------
    policy_type : str
        As a hosted recommender writes it: ``two-tower``, ``Wide & Deep``, …
    """
    name = "".join(c for c in policy_type.lower() if c.isalnum())
    for candidate in (name, name.removesuffix("v2"), name.replace("and", "")):
        if candidate in ABSENT:
            what, nearest, why = ABSENT[candidate]
            told = f"shoal has no model {policy_type}, {what}"
            if not nearest:
                return f"{told}: {why}"
            return f"{told}. The nearest: {' or '.join(nearest)} {_agree(why, nearest)}"
    return None


def _agree(why: str, nearest: tuple[str, ...]) -> str:
    return f"({why})"
