"""How models say no: to what does not fit into memory, and to bad hyper-parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.run import human_bytes

if TYPE_CHECKING:
    from pydantic import ValidationError

    from shoal.models.contract import Recommender


def budget_refusal(
    model: Recommender, n_users: int, n_items: int, n_interactions: int, budget: int
) -> str:
    """One line for people, or "" where `bytes_to_fit` is within the budget."""
    need = model.bytes_to_fit(n_users, n_items, n_interactions)
    if need <= budget:
        return ""
    from shoal.models.registry import models

    fits = [
        name
        for name, other in models().items()
        if other.task == model.task
        and other().bytes_to_fit(n_users, n_items, n_interactions) <= budget
    ]
    largest = _largest_catalogue(model, n_users, n_items, n_interactions, budget)
    room = f"With this budget it takes about {largest:,} items: d" if largest > 1 else "D"
    return (
        f"{model.name} on {n_items:,} items needs {human_bytes(need)}, the budget is "
        f"{human_bytes(budget)}. {room}rop rare items (--min-item-users), raise the budget "
        f"(--memory), or use a model that fits: {', '.join(fits) or 'none of those installed'}"
    )


def _largest_catalogue(
    model: Recommender, n_users: int, n_items: int, n_interactions: int, budget: int
) -> int:
    low, high = 0, n_items
    while high - low > 1:
        middle = (low + high) // 2
        fits = model.bytes_to_fit(n_users, middle, n_interactions) <= budget
        low, high = (middle, high) if fits else (low, middle)
    return low


def readable(model: type[Recommender], error: ValidationError) -> str:
    """Pydantic's complaint in one line, with the names that exist."""
    problems = []
    for part in error.errors():
        field = ".".join(str(p) for p in part["loc"])
        if part["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields) or "none"
            problems.append(f"no hyper-parameter {field!r} (it has: {known})")
        else:
            problems.append(f"{field}={part['input']!r}: {part['msg'].lower()}")
    return f"{model.name}: {'; '.join(problems)}"
