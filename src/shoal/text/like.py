"""`embedder_like`: the embedder that made earlier vectors, to embed new texts in their space."""

from __future__ import annotations

from pathlib import Path

from shoal.data.embedder_files import beside, read_embedder
from shoal.data.vector_files import ENDINGS, read_about
from shoal.data.vectors import Vectors
from shoal.errors import DataError
from shoal.kernels.arrays import State
from shoal.run import Run
from shoal.text.embedder import Embedder
from shoal.text.open import open_embedder
from shoal.text.tfidf import FittedTfIdf

_ANEW = "embed all items anew, and train the model again with the new vectors"


def embedder_like(
    like: str | Path | Vectors, embedder: str | Path | Embedder | None, template: str, run: Run
) -> tuple[Embedder, str, list[str]]:
    """Find the embedder that made vectors, and the template of their texts.

    Parameters
    ----------
    like : path or Vectors
        A Parquet file that shoal wrote, or vectors that were made in this process.
    embedder : str, Path, Embedder or None
        For vectors of a language model: that model, which must be the same. TF-IDF is read from
        the file beside the vectors and need not be named.
    template : str
        Used in place of the template of the vectors, unless it is empty.
    run : Run
        Seed and device of a language model.

    Returns
    -------
    embedder : Embedder
    template : str
    notes : list of str
        What a person should know.

    Raises
    ------
    DataError
        Nothing is known of the embedder, it is not beside the file, or it is another one.
    """
    if isinstance(like, Vectors):
        where, name, space, own_template = "the vectors", like.embedder, like.space, like.template
    else:
        where, about = str(like), _about(Path(like))
        name, space = about.get("embedder", ""), about.get("space", "")
        own_template = about.get("template", "")
    notes = []
    if template and own_template and template != own_template:
        notes.append(f"the template is {template!r}; that of {where} is {own_template!r}")
    template = template or own_template
    if name.startswith("tfidf("):
        if embedder not in (None, "tfidf"):
            raise DataError(f"{where}: made by {name}, not by {_name(embedder)}: leave that out")
        return _fitted(like, name, space), template, notes
    if not name or not space:
        raise DataError(f"{where}: nothing says which embedder made these vectors: {_ANEW}")
    if embedder is None:
        raise DataError(
            f"{where}: made by {name}; name it once more (--embedder), its vectors of the same "
            "text are the same each time"
        )
    if isinstance(embedder, str | Path):
        if Path(embedder).suffix.lower() in ENDINGS:
            raise DataError(f"{embedder} holds vectors, which are embedded already: leave one out")
        embedder = open_embedder(str(embedder), run)
    if embedder.space != space:
        raise DataError(
            f"{where}: made by {name}, not by {embedder.name}: name the same model and dimension"
        )
    return embedder, template, notes


def _about(path: Path) -> dict[str, str]:
    """What a Parquet file says of its vectors."""
    if path.suffix.lower() not in (".parquet", ".pq"):
        raise DataError(f"{path}: name the Parquet file that `shoal embed` wrote")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    return read_about(path)


def _fitted(like: str | Path | Vectors, name: str, space: str) -> FittedTfIdf:
    """The TF-IDF that made vectors, from memory or from the file beside them."""
    arrays: State
    if isinstance(like, Vectors):
        where, arrays = "the vectors", like.fitted
        if not arrays:
            raise DataError("vectors that were read have no embedder: give the file (like=FILE)")
    else:
        if not space:
            raise DataError(f"{like} was made by a version that kept no embedder: {_ANEW}")
        where, arrays = str(beside(Path(like))), read_embedder(Path(like))
    try:
        fitted = FittedTfIdf.of_state(name, arrays)
    except ValueError as error:
        raise DataError(f"{where} is damaged ({error}): {_ANEW}") from error
    if fitted.space != space:
        raise DataError(
            f"{where} was altered, or belongs to other vectors than those of {like}: {_ANEW}"
        )
    return fitted


def _name(embedder: str | Path | Embedder | None) -> str:
    return embedder.name if isinstance(embedder, Embedder) else str(embedder)
