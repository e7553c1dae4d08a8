"""`open_embedder`: from the name of an embedder, as on the command line, to the object."""

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
        Seed for TF-IDF, device for a language model.
    **settings
        Settings of the embedder (``dimension``, ``batch_size``, …). Those that are None keep
        their default.

    Raises
    ------
    DataError
        There is no such embedder, or it has no such setting.
    MissingExtraError
        The device needs torch, which is not installed.
    """
    from shoal.text.endpoint import Endpoint
    from shoal.text.sentences import SentenceTransformers
    from shoal.text.tfidf import TfIdf

    run = run or Run()
    kind: Any
    fixed: dict[str, Any]  # settings that the name and the run decide
    if spec == "tfidf":
        kind, fixed = TfIdf, {"seed": run.seed}
    elif spec.startswith(SENTENCES):
        fixed = {"model": spec.removeprefix(SENTENCES), "device": run.torch_device or "cpu"}
        kind = SentenceTransformers
    elif spec.startswith(("http://", "https://")):
        url, _, model = spec.partition("#")
        kind, fixed = Endpoint, {"url": url, "model": model}
    else:
        raise DataError(f"no such embedder {spec!r}: write {KINDS}")
    chosen = {name: value for name, value in settings.items() if value is not None}
    known = {f.name for f in fields(kind) if not f.name.startswith("_")} - set(fixed)
    if odd := set(chosen) - known:
        raise DataError(
            f"{spec} has no setting {min(odd)!r}; it has: {', '.join(sorted(known)) or 'none'}"
        )
    embedder: Embedder = kind(**fixed, **chosen)
    return embedder
