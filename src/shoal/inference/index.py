"""An index of a model's vectors: recommendations from near neighbours, without all scores.

faiss (Douze et al., arXiv:2401.08281; extra ``shoal[ann]``) finds the items whose vectors have the
largest inner products with a history's vector. Items of the history are left out afterwards; where
too few items are left, all scores are made. The recall is measured when the index is built.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from shoal.base.recommender import Recommender, Search
from shoal.data.interactions import CSR, Interactions
from shoal.errors import DataError, MissingExtraError, ModelError
from shoal.kernels.arrays import Bool, Float, Int, Long, Ranking, Seen
from shoal.kernels.threads import use_threads
from shoal.run import Run

Kind = Literal["flat", "ivf", "hnsw"]

FEW, MANY = 20_000, 1_000_000  # numbers of items: flat up to FEW, hnsw up to MANY, ivf beyond
LINKS, BUILD_WIDTH = 32, 100  # hnsw: edges of a node, and candidates while it is built
ENOUGH = 0.95  # the effort of a search is doubled until it has this recall
LEAST_ALLOWED = 0.2  # where rules leave a smaller share of the catalogue, all scores are made
_ROWS = 256  # histories that are searched for at a time


@dataclass(frozen=True)
class Facts:
    """What is known of an index, as its file keeps it.

    Parameters
    ----------
    kind : {"flat", "ivf", "hnsw"}
    n_items, width : int
        Shape of the vectors.
    vectors : str
        sha256 of the vectors, by which an index is known to belong to a model.
    effort : int
        Candidates (hnsw) or cells (ivf) that a search looks at, at least; 0 for flat. Doubled from
        a low one until the recall is 0.95, or all are looked at.
    recall : float
        Share of the exact lists that the index finds, without what is in the histories.
    k, histories : int
        Length and number of the lists that the recall was measured on.
    exact_seconds, index_seconds : float
        Seconds that these lists took by all scores, and by the index.
    build_seconds : float
        Seconds that it took to build the index.
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
    """Vectors that can be searched; `serve` makes a model use them.

    Parameters
    ----------
    facts : Facts
        What kind of index it is and how good its lists are.
    found : faiss.Index
        The index itself, as faiss built it.
    """

    facts: Facts
    found: Any

    def serve(self, model: Recommender) -> None:
        """Let a model's lists come from here, until ``model.search_with(None)``.

        Raises
        ------
        ModelError
            The index was built from other vectors, or the model has none.
        """
        owner = model.vector_model
        if digest(owner.vectors()) != self.facts.vectors:
            raise ModelError(
                f"the index belongs to another model than this {model.name}: build it again "
                "(shoal index)"
            )

        owner.search_with(partial(self.lists, owner))

    def lists(
        self,
        model: Recommender,
        histories: CSR,
        k: int,
        seen: Seen,
        allowed: Bool,
        exact: Search,
    ) -> Ranking:
        """The k best items of each history; those that the index cannot fill come from `exact`.

        Parameters
        ----------
        model, histories, k, seen, allowed
            As for `Recommender.rank`.
        exact : callable
            Ranks by all scores, with the same parameters as `Recommender.rank`.

        Returns
        -------
        items : (m, k) int32, best first, −1 where fewer could be chosen
        scores : (m, k) float32
        """
        m = histories.shape[0]
        items, scores = np.full((m, k), -1, np.int32), np.full((m, k), -np.inf, np.float32)
        incomplete = np.ones(m, np.bool_)
        if allowed.sum() >= LEAST_ALLOWED * allowed.size:
            self._fill(model, histories, seen, allowed, items, scores, incomplete)
        if incomplete.any():
            rows = np.flatnonzero(incomplete)
            items[rows], scores[rows] = exact(histories[rows], k, _seen_of(seen, rows), allowed)
        return items, scores

    def _fill(
        self,
        model: Recommender,
        histories: CSR,
        seen: Seen,
        allowed: Bool,
        items: Int,
        scores: Float,
        incomplete: Bool,
    ) -> None:
        """Write near neighbours into `items` and `scores`; `incomplete` says which are short."""
        k, n_allowed = items.shape[1], int(allowed.sum())
        indptr, indices = seen
        lengths = np.diff(indptr)
        U = model.user_vectors(histories)
        # A product is no score of an item in the history, so all of those must be left out.
        answerable = lengths >= np.diff(histories.indptr)
        by_length = np.argsort(lengths, kind="stable")  # a block asks for as many as its longest
        by_length = by_length[answerable[by_length]]
        for begin in range(0, by_length.size, _ROWS):
            rows = by_length[begin : begin + _ROWS]
            n_neighbours = min(k + int(lengths[rows].max()), allowed.size)
            neighbours, products = self._nearest(U[rows], n_neighbours, allowed)
            for row, near, product in zip(rows, neighbours, products, strict=True):
                own = indices[indptr[row] : indptr[row + 1]]
                best = np.flatnonzero((near >= 0) & ~np.isin(near, own))[:k]
                items[row, : best.size] = near[best]
                scores[row, : best.size] = product[best]
                incomplete[row] = best.size < min(k, n_allowed)

    def _nearest(self, U: Float, k: int, allowed: Bool) -> tuple[Long, Float]:
        """The k largest inner products with each row of U: (m, k) items (−1: none), products."""
        faiss = faiss_or_advice()
        restricted = not allowed.all()
        bits = np.packbits(allowed, bitorder="little")
        selector = faiss.IDSelectorBitmap(bits) if restricted else None
        parameters: Any = faiss.SearchParameters(sel=selector) if restricted else None
        if self.facts.kind == "hnsw":
            effort = max(self.facts.effort, 2 * k)
            parameters = faiss.SearchParametersHNSW(sel=selector, efSearch=effort)
        elif self.facts.kind == "ivf":
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=self.facts.effort)
        products, neighbours = self.found.search(np.ascontiguousarray(U), k, params=parameters)
        return neighbours, products


def _seen_of(seen: Seen, rows: Long) -> Seen:
    """The items that may not be chosen, for some of the rows."""
    indptr, indices = seen
    parts = [indices[indptr[row] : indptr[row + 1]] for row in rows]
    extents = np.concatenate([[0], np.cumsum(np.diff(indptr)[rows])])
    return extents, np.concatenate([*parts, np.empty(0, np.int32)]).astype(np.int32)


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
        Fitted or loaded, one that `has_vectors`, or one of two stages.
    log : Interactions
        The recall is measured on histories of its users.
    kind : {"flat", "ivf", "hnsw"}, optional
        ``flat`` looks at every vector, ``hnsw`` walks a graph of near ones, ``ivf`` looks into the
        nearest of 4·√n_items cells. By default flat up to 20,000 items, hnsw up to a million, and
        ivf, which is built faster and takes less memory, beyond.
    k : int
        Length of the lists that are measured.
    sample : int
        Number of the log's users to measure on, drawn at random.
    run : Run, optional
        Seed, threads and progress.

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
    faiss_or_advice()
    run = run or Run()
    if kind is not None and kind not in get_args(Kind):
        raise ModelError(f"kind={kind!r}: write one of {', '.join(get_args(Kind))}")
    model = model.vector_model
    model.search_with(None)
    vectors = np.ascontiguousarray(model.vectors(), np.float32)
    rows = model.histories(log.onto_items(model.items))
    users = np.flatnonzero(np.diff(rows.indptr))
    if k < 1 or sample < 1 or not users.size:
        why = "give 1 or more" if users.size else "no user of the log has an item that it knows"
        raise DataError(f"recall cannot be measured with k={k} and sample={sample}: {why}")
    n, d = vectors.shape
    kind = kind or _usual_kind(n)
    began = time.perf_counter()
    with use_threads(run.threads), run.progress.step(f"{model.name}: index of {n:,} items"):
        faiss_index, effort = _faiss_index(vectors, kind, run.seed)
    build_seconds = round(time.perf_counter() - began, 3)
    facts = Facts(kind, n, d, digest(vectors), effort, build_seconds=build_seconds)
    drawn = np.random.default_rng(run.seed).choice(users, min(sample, users.size), replace=False)
    with use_threads(run.threads):
        return _measured(Index(facts, faiss_index), model, rows[np.sort(drawn)], min(k, n))


def _usual_kind(n_items: int) -> Kind:
    """The kind of index for a catalogue of this size."""
    return "flat" if n_items <= FEW else "hnsw" if n_items <= MANY else "ivf"


def _faiss_index(vectors: Float, kind: Kind, seed: int) -> tuple[Any, int]:
    """A faiss index of vectors, and the effort with which to search it at first."""
    faiss = faiss_or_advice()
    n, d = vectors.shape
    effort = 0
    if kind == "flat":
        index = faiss.IndexFlatIP(d)
    elif kind == "hnsw":
        index, effort = faiss.IndexHNSWFlat(d, LINKS, faiss.METRIC_INNER_PRODUCT), 128
        index.hnsw.efConstruction = BUILD_WIDTH
    else:
        n_cells = max(1, min(int(4 * n**0.5), n // 39))  # faiss asks for 39 vectors in a cell
        centres = faiss.IndexFlatIP(d)
        index = faiss.IndexIVFFlat(centres, d, n_cells, faiss.METRIC_INNER_PRODUCT)
        effort = max(1, n_cells // 64)
        index.cp.seed = seed
        index.train(vectors)
    index.add(vectors)
    return index, effort


def _measured(index: Index, model: Recommender, histories: CSR, k: int) -> Index:
    """The index with the effort that reaches the recall, and with what was measured."""
    seen = histories.indptr.astype(np.int64), histories.indices.astype(np.int32)
    allowed = np.ones(histories.shape[1], np.bool_)
    # numba compiles the ranking when it is first called, which must not be measured
    model.rank(histories[:1], k, (seen[0][:2], seen[1]), allowed)
    began = time.perf_counter()
    exact_lists, _ = model.rank(histories, k, seen, allowed)
    exact_seconds = time.perf_counter() - began
    n_cells = getattr(index.found, "nlist", 0)
    most_effort = {"flat": 0, "hnsw": histories.shape[1], "ivf": n_cells}[index.facts.kind]
    while True:
        began = time.perf_counter()
        index_lists, _ = index.lists(model, histories, k, seen, allowed, model.rank)
        index_seconds = time.perf_counter() - began
        recall = _recall(exact_lists, index_lists)
        effort = index.facts.effort
        if recall >= ENOUGH or effort >= most_effort:
            break
        index = replace(index, facts=replace(index.facts, effort=2 * effort))
    facts = replace(
        index.facts,
        recall=recall,
        k=k,
        histories=histories.shape[0],
        exact_seconds=round(exact_seconds, 4),
        index_seconds=round(index_seconds, 4),
    )
    return replace(index, facts=facts)


def _recall(exact_lists: Int, index_lists: Int) -> float:
    """The share of the items of exact lists (−1: none) that the index's lists hold as well."""
    pairs = zip(exact_lists, index_lists, strict=True)
    n_shared = sum(np.intersect1d(exact[exact >= 0], near).size for exact, near in pairs)
    return float(n_shared / max((exact_lists >= 0).sum(), 1))


def digest(vectors: Float) -> str:
    """The sha256 of vectors and their shape, in hexadecimal."""
    sha256 = hashlib.sha256(str(vectors.shape).encode())
    sha256.update(np.ascontiguousarray(vectors).data)
    return sha256.hexdigest()


def faiss_or_advice() -> Any:
    """The module faiss, or an error that says how to install it.

    Raises
    ------
    MissingExtraError
        faiss is not installed.
    """
    try:
        import faiss
    except ImportError:
        raise MissingExtraError(
            "approximate search needs faiss: pip install 'shoal[ann]'"
        ) from None
    return faiss
