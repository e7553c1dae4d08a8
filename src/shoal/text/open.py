"""Embedders by name: words on the command line, and the objects that they stand for."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from shoal.errors import DataError
from shoal.run import Run
from shoal.text.embedder import SENTENCES, Embedder

KINDS = f"tfidf, {SENTENCES}NAME_OR_FOLDER, https://HOST/v1#MODEL, a .parquet or a .npy file"


def open_embedder(spec: str, run: Run | None = None, **settings: Any) -> Embedder:
    """Make the embedder that `spec` names.

    Parameters
    ----------
    spec : str
        ``tfidf``, ``sentence-transformers:NAME_OR_FOLDER`` or ``https://HOST/v1#MODEL``.
    run : Run, optional
        Its seed is that of TF-IDF, its device that of a language model.
    **settings
        Of that embedder (``dimension``, ``batch_size``, …); those that are None keep its default.

    Raises
    ------
    DataError
        No such embedder, or it has no such setting.
    MissingExtraError
    """
    from shoal.text.endpoint import Endpoint
    from shoal.text.sentences import SentenceTransformers
    from shoal.text.tfidf import TfIdf

    run = run or Run()
    kind: Any
    own: dict[str, Any]
    if spec == "tfidf":
        kind, own = TfIdf, {"seed": run.seed}
    elif spec.startswith(SENTENCES):
        own = {"model": spec.removeprefix(SENTENCES), "device": run.torch_device or "cpu"}
        kind = SentenceTransformers
    elif spec.startswith(("http://", "https://")):
        url, _, model = spec.partition("#")
        kind, own = Endpoint, {"url": url, "model": model}
    else:
        raise DataError(f"no such embedder {spec!r}: write {KINDS}")
    given = {name: value for name, value in settings.items() if value is not None}
    known = {f.name for f in fields(kind) if not f.name.startswith("_")} - set(own)
    if odd := set(given) - known:
        raise DataError(
            f"{spec} has no setting {min(odd)!r}; it has: {', '.join(sorted(known)) or 'none'}"
        )
    made: Embedder = kind(**own, **given)
    return made
