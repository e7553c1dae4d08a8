"""An index of a model's vectors: lists from near neighbours alone, and how good they are.

faiss (Douze et al., arXiv:2401.08281; extra ``shoal[ann]``) finds the items whose vectors have the
largest inner products with a history's. What is in the history or not allowed is left out after;
where too few are left, all scores are made. The index measures its recall when it is built.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from shoal.base.recommender import Recommender, Search
from shoal.data.interactions import CSR, Interactions
from shoal.errors import ArtifactError, DataError, MissingExtraError, ModelError
from shoal.files import replacing
from shoal.kernels.arrays import Bool, Float, Long, Ranking, Seen
from shoal.kernels.threads import use_threads
from shoal.run import Run

Kind = Literal["flat", "ivf", "hnsw"]
FILE, ABOUT = "index.faiss", "index.json"

FEW, MANY = 20_000, 1_000_000  # items: up to here flat, beyond ivf, hnsw between
LINKS, BUILD_WIDTH = 32, 100  # of hnsw: edges of a node, candidates while it is built
ENOUGH = 0.95  # recall up to which a search's effort is doubled
LEAST_ALLOWED = 0.2  # share of the catalogue; when rules leave less, all scores are made
_ROWS = 256  # histories at a time


@dataclass(frozen=True)
class Facts:
    """About an index, as its file keeps it.

    Parameters
    ----------
    kind : {"flat", "ivf", "hnsw"}
    n_items, width : int
        Shape of the vectors.
    vectors : str
        sha256 of them: what an index belongs to.
    effort : int
        Candidates (hnsw) or cells (ivf) that a search looks at, at least; 0 for flat. Doubled from
        a low one until the recall is 0.95, or all are looked at.
    recall : float
        Share of the exact lists that the index finds, without what is in the histories.
    k, histories : int
        Of that measurement: length and number of lists.
    exact_seconds, index_seconds : float
        That it took, all scores and the index.
    build_seconds : float
    """

    kind: Kind
    n_items: int
    width: int
    vectors: str
    effort: int
    recall: float = 1.0
    k: int = 0
    histories: int = 0
    exact_seconds: float = 0.0
    index_seconds: float = 0.0
    build_seconds: float = 0.0


@dataclass(frozen=True)
class Index:
    """Vectors that can be searched; `serve` makes a model use it."""

    facts: Facts
    found: Any  # faiss's index

    def serve(self, model: Recommender) -> None:
        """Let a model's lists come from here, until ``model.search_with(None)``.

        Raises
        ------
        ModelError
            The index was built from other vectors, or the model has none.
        """
        if digest(model.vectors()) != self.facts.vectors:
            raise ModelError(
                f"the index belongs to another model than this {model.name}: build it again "
                "(shoal index)"
            )

        model.search_with(partial(self._lists, model))

    def _lists(
        self,
        model: Recommender,
        histories: CSR,
        k: int,
        seen: Seen,
        allowed: Bool,
        exact: Search,
    ) -> Ranking:
        m, free = histories.shape[0], int(allowed.sum())
        items, scores = np.full((m, k), -1, np.int32), np.full((m, k), -np.inf, np.float32)
        lengths = np.diff(seen[0])
        hidden = lengths >= np.diff(histories.indptr)  # a product is no score of a history's item
        short = np.ones(m, np.bool_)  # whose lists all scores are needed for
        if free >= LEAST_ALLOWED * allowed.size:
            U = model.user_vectors(histories)
            order = np.argsort(lengths, kind="stable")  # alike ones ask for alike numbers
            order = order[hidden[order]]
            for begin in range(0, order.size, _ROWS):
                rows = order[begin : begin + _ROWS]
                wanted = min(k + int(lengths[rows].max()), allowed.size)
                near, close = self._nearest(U[rows], wanted, allowed, free)
                for at, row in enumerate(rows):
                    own = seen[1][seen[0][row] : seen[0][row + 1]]
                    kept = np.flatnonzero((near[at] >= 0) & ~np.isin(near[at], own))[:k]
                    items[row, : kept.size] = near[at][kept]
                    scores[row, : kept.size] = close[at][kept]
                    short[row] = kept.size < min(k, free)
        if short.any():
            part = np.flatnonzero(short)
            indptr = np.concatenate([[0], np.cumsum(lengths[part])])
            parts = [seen[1][seen[0][r] : seen[0][r + 1]] for r in part]
            rest = indptr, np.concatenate([*parts, np.empty(0, np.int32)]).astype(np.int32)
            items[part], scores[part] = exact(histories[part], k, rest, allowed)
        return items, scores

    def _nearest(self, U: Float, k: int, allowed: Bool, free: int) -> tuple[Long, Float]:
        """The k largest inner products with each row of U, (m, k) items and products; −1: none."""
        faiss = faiss_or_advice()
        ruled = free < allowed.size
        bits = np.packbits(allowed, bitorder="little")
        rule = faiss.IDSelectorBitmap(bits) if ruled else None
        effort = max(self.facts.effort, 2 * k)
        chosen: Any = faiss.SearchParameters(sel=rule) if ruled else None
        if self.facts.kind == "hnsw":
            chosen = faiss.SearchParametersHNSW(sel=rule, efSearch=effort)
        elif self.facts.kind == "ivf":
            chosen = faiss.SearchParametersIVF(sel=rule, nprobe=self.facts.effort)
        products, near = self.found.search(np.ascontiguousarray(U), k, params=chosen)
        return near, products


def build_index(
    model: Recommender,
    log: Interactions,
    *,
    kind: Kind | None = None,
    k: int = 100,
    sample: int = 1000,
    run: Run | None = None,
) -> Index:
    """Index a model's vectors, and measure how much of the exact lists the index finds.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded, one that `has_vectors`.
    log : Interactions
        Whose users' histories are asked for in the measurement.
    kind : {"flat", "ivf", "hnsw"}, optional
        ``flat`` looks at every vector, ``hnsw`` walks a graph of near ones, ``ivf`` looks into the
        nearest of 4·√n_items cells. By default flat up to 20,000 items, hnsw up to a million, and
        ivf, which is built faster and takes less memory, beyond.
    k : int
        Length of the lists that are measured.
    sample : int
        How many of the log's users, drawn at random.
    run : Run, optional

    Returns
    -------
    Index
        Its `facts.recall` says what share of the exact lists it found.

    Raises
    ------
    MissingExtraError
        faiss is not installed.
    ModelError
        The model has no vectors.
    DataError
        No user of the log has an item that the model knows.
    """
    faiss = faiss_or_advice()
    run = run or Run()
    if kind is not None and kind not in get_args(Kind):
        raise ModelError(f"kind={kind!r}: write one of {', '.join(get_args(Kind))}")
    model.search_with(None)
    vectors = np.ascontiguousarray(model.vectors(), np.float32)
    rows = model.histories(log.onto_items(model.items))
    users = np.flatnonzero(np.diff(rows.indptr))
    if k < 1 or sample < 1 or not users.size:
        why = "give 1 or more" if users.size else "no user of the log has an item that it knows"
        raise DataError(f"recall cannot be measured with k={k} and sample={sample}: {why}")
    n, d = vectors.shape
    kind = kind or ("flat" if n <= FEW else "hnsw" if n <= MANY else "ivf")
    began = time.perf_counter()
    effort = 0
    with use_threads(run.threads), run.progress.step(f"{model.name}: index of {n:,} items"):
        if kind == "flat":
            found = faiss.IndexFlatIP(d)
        elif kind == "hnsw":
            found, effort = faiss.IndexHNSWFlat(d, LINKS, faiss.METRIC_INNER_PRODUCT), 128
            found.hnsw.efConstruction = BUILD_WIDTH
        else:
            cells = max(1, min(int(4 * n**0.5), n // 39))  # faiss wants 39 vectors for a cell
            coarse = faiss.IndexFlatIP(d)
            found = faiss.IndexIVFFlat(coarse, d, cells, faiss.METRIC_INNER_PRODUCT)
            effort = max(1, cells // 64)
            found.cp.seed = run.seed
            found.train(vectors)
        found.add(vectors)
    facts = Facts(kind, n, d, digest(vectors), effort)
    build_seconds = time.perf_counter() - began
    chosen = np.random.default_rng(run.seed).choice(users, min(sample, users.size), replace=False)
    part = rows[np.sort(chosen)]
    return _measured(Index(facts, found), model, part, min(k, n), build_seconds, run)


def _measured(
    index: Index, model: Recommender, part: CSR, k: int, build_seconds: float, run: Run
) -> Index:
    """The index with its recall in its facts, and with the effort that it takes."""
    seen = part.indptr.astype(np.int64), part.indices.astype(np.int32)
    allowed = np.ones(part.shape[1], np.bool_)
    with use_threads(run.threads):
        model.rank(part[:1], k, (seen[0][:2], seen[1]), allowed)  # compiled, if it was not
        began = time.perf_counter()
        exact, _ = model.rank(part, k, seen, allowed)
        exact_seconds = time.perf_counter() - began
        most = {"flat": 0, "hnsw": part.shape[1], "ivf": getattr(index.found, "nlist", 0)}
        while True:
            began = time.perf_counter()
            found, _ = index._lists(model, part, k, seen, allowed, model.rank)
            seconds = time.perf_counter() - began
            shared = [np.intersect1d(a[a >= 0], b).size for a, b in zip(exact, found, strict=True)]
            recall = float(sum(shared) / max((exact >= 0).sum(), 1))
            effort = index.facts.effort
            if recall >= ENOUGH or effort >= most[index.facts.kind]:
                break
            index = replace(index, facts=replace(index.facts, effort=2 * effort))
    facts = replace(
        index.facts,
        recall=recall,
        k=k,
        histories=part.shape[0],
        exact_seconds=round(exact_seconds, 4),
        index_seconds=round(seconds, 4),
        build_seconds=round(build_seconds, 3),
    )
    return replace(index, facts=facts)


def save_index(index: Index, folder: str | Path) -> Path:
    """Write an index into a model's folder (which a new model there replaces as a whole).

    Raises
    ------
    ArtifactError
        No such folder, or the disk refuses.
    """
    faiss, folder = faiss_or_advice(), Path(folder)
    content = {FILE: faiss.serialize_index(index.found).tobytes()}
    about = {"sha256": hashlib.sha256(content[FILE]).hexdigest(), **asdict(index.facts)}
    content[ABOUT] = json.dumps(about, indent=1).encode() + b"\n"
    try:
        for name, data in content.items():  # what belongs to the old file is told by its sha256
            with replacing(folder / name) as unfinished:
                unfinished.write_bytes(data)
    except OSError as error:
        raise ArtifactError(f"{folder / FILE} could not be written ({error})") from error
    return folder / FILE


def load_index(folder: str | Path) -> Index:
    """Read the index in a model's folder.

    Raises
    ------
    ArtifactError
        There is none, or it is damaged.
    MissingExtraError
        faiss is not installed.
    """
    faiss, folder = faiss_or_advice(), Path(folder)
    if not (folder / ABOUT).is_file():
        raise ArtifactError(f"{folder} has no index: build one with shoal index {folder} --log …")
    try:
        about = json.loads((folder / ABOUT).read_text())
        data = (folder / FILE).read_bytes()
        if hashlib.sha256(data).hexdigest() != about.pop("sha256"):
            raise ValueError("its sha256 is another")
        found = faiss.deserialize_index(np.frombuffer(data, np.uint8))
        return Index(Facts(**about), found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ArtifactError(f"{folder / FILE} is damaged ({error}): build it again") from None


def digest(vectors: Float) -> str:
    """The sha256 of vectors and their shape."""
    found = hashlib.sha256(str(vectors.shape).encode())
    found.update(np.ascontiguousarray(vectors).data)
    return found.hexdigest()


def faiss_or_advice() -> Any:
    """faiss, or an error that says how to get it.

    Raises
    ------
    MissingExtraError
    """
    try:
        import faiss
    except ImportError:
        raise MissingExtraError(
            "approximate search needs faiss: pip install 'shoal[ann]'"
        ) from None
    return faiss
