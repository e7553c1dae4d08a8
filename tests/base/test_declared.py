"""The check of arrays against what a model declares, by arrays written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from shoal.base.declared import ArraySpec, CsrSpec, Spec, check_shapes, check_values, headers_of
from shoal.base.declared import within as within_part
from shoal.base.recommender import Recommender
from shoal.errors import ArtifactError
from shoal.kernels.arrays import State
from shoal.models.registry import models

SPEC: Spec = (
    CsrSpec("n_items", "n_users"),
    ArraySpec("vectors", ("n_items", "k")),
    ArraySpec("scale", ("k",), "float64", positive=True),
    ArraySpec("known", ("n_users",), "bool", optional=True),
    ArraySpec("size", (1,), "int64", size="n_items"),
)


def state(**changed: object) -> State:
    """Three items and four users: rows (0, 2), () and (1, 2, 3)."""
    arrays = {
        "indptr": np.array([0, 2, 2, 5], np.int64),
        "indices": np.array([0, 2, 1, 2, 3], np.int32),
        "data": np.ones(5, np.float32),
        "vectors": np.zeros((3, 2), np.float32),
        "scale": np.array([1.0, 2.0]),
        "known": np.array([True, False, True, True]),
        "size": np.array([3], np.int64),
    }
    return {n: np.asarray(a) for n, a in (arrays | changed).items() if a is not None}


def check(arrays: State, spec: Spec = SPEC) -> None:
    sizes = check_shapes(spec, headers_of(arrays), {"n_items": 3, "n_users": 4})
    check_values(spec, arrays, sizes)


def ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(values, np.int32)


def test_arrays_that_fit_are_accepted() -> None:
    check(state())
    check(state(known=None))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vectors": None}, "'vectors' is missing"),
        ({"other": np.ones(3)}, "'other' is none that the model has"),
        ({"vectors": np.zeros((3, 2))}, "'vectors' is of float64, it must be float32"),
        ({"vectors": np.zeros((4, 2), np.float32)}, r"'vectors' has the shape \(4, 2\)"),
        ({"vectors": np.zeros((3, 5), np.float32)}, r"'scale' has the shape \(2\), .* \(5\)"),
        ({"vectors": np.zeros(3, np.float32)}, r"'vectors' has the shape \(3\)"),
        ({"data": np.ones(4, np.float32)}, "'data' has the shape"),
        ({"indptr": np.array([0, 2, 5])}, "'indptr' has 3 numbers, for 3 rows it must have 4"),
        ({"indptr": np.array([0, 3, 2, 5])}, "'indptr' does not ascend"),
        ({"indptr": np.array([1, 2, 2, 5])}, "'indptr' does not ascend"),
        ({"indptr": np.array([0, 2, 2, 6])}, "'indptr' does not ascend"),
        ({"indices": ints(0, 2, 1, 2, 4)}, "'indices' holds 4, which is none of the 4 columns"),
        ({"indices": ints(0, 2, -1, 2, 3)}, "'indices' holds -1"),
        ({"indices": ints(2, 0, 1, 2, 3)}, "'indices' does not ascend within each row"),
        ({"indices": ints(0, 0, 1, 2, 3)}, "'indices' does not ascend within each row"),
        ({"indices": ints(0, 2, 1, 3, 2)}, "'indices' does not ascend within each row"),
        ({"data": np.array([1, np.nan, 1, 1, 1], np.float32)}, "'data' holds a number that is NaN"),
        ({"scale": np.array([1, np.inf])}, "'scale' holds a number that is NaN or infinite"),
        ({"scale": np.array([1.0, 0.0])}, "'scale' holds a number that is not above 0"),
        ({"known": np.array([1, 0, 7, 1], np.uint8).view(np.bool_)}, "neither true nor false"),
        ({"size": np.array([4])}, "'size' says 4, it must be 3"),
    ],
)
def test_arrays_that_do_not_fit_are_named(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        check(state(**changed))


def test_columns_may_fall_from_one_row_to_the_next_also_where_blocks_of_the_check_meet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for at_once in range(1, 6):
        monkeypatch.setattr("shoal.base.declared._AT_ONCE", at_once)
        check(state())
        with pytest.raises(ArtifactError, match="does not ascend within"):
            check(state(indices=ints(0, 2, 1, 3, 2)))


def test_a_size_that_only_the_arrays_know_has_a_bound() -> None:
    spec: Spec = (ArraySpec("width", (1,), "int64", size="width", most=10),)
    check({"width": np.array([10])}, spec)
    for width in (0, 11, 2**62):
        with pytest.raises(ArtifactError, match=r"'width' says .*, it must be 1 to 10"):
            check({"width": np.array([width])}, spec)


def test_parts_of_a_model_have_sizes_of_their_own() -> None:
    spec = within_part("0.", SPEC) + within_part("1.", SPEC)
    other = state(vectors=np.zeros((3, 5), np.float32), scale=np.ones(5))
    both = {f"0.{n}": a for n, a in state().items()} | {f"1.{n}": a for n, a in other.items()}
    check(both, spec)
    both["1.indices"] = ints(0, 2, 1, 2, 9)
    with pytest.raises(ArtifactError, match=r"'1\.indices' holds 9"):
        check(both, spec)


def test_every_model_declares_its_arrays() -> None:
    undeclared = [
        name
        for name, model in models().items()
        if model.state_spec is Recommender.state_spec and not model.state_arrays
    ]
    assert undeclared == []
