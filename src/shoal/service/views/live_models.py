"""Live models as pages name them: the live name with the kind of its model, and tabs of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypedDict

from shoal.service.live import LiveModel
from shoal.service.settings import MAIN


class Tab(TypedDict):
    """One entry of `tabs` in macros.html: a live model, or another way to ask."""

    name: str
    kind: str
    address: str
    here: bool


def tabs_of(
    models: Mapping[str, LiveModel], chosen: str, address_of: Callable[[str], str]
) -> list[Tab]:
    """The live models with the address of a page with each; none where there is one model.

    Parameters
    ----------
    models : mapping of str to LiveModel
        Of the service.
    chosen : str
        The live name of the model whose page it is.
    address_of : callable
        Gives the address of the page with a model, by its live name.
    """
    if len(models) < 2:
        return []
    return [
        Tab(name=name, kind=kind_of(live), address=address_of(name), here=name == chosen)
        for name, live in models.items()
    ]


def kind_of(live: LiveModel) -> str:
    """The kind of the model that answers, such as rdlae; empty before there is one."""
    return live.served.name if live.served is not None else ""


def name_in_address(name: str) -> str:
    """The name of a live model for an address, which leaves out that of the main one."""
    return "" if name == MAIN else name


def trouble_of(live: LiveModel) -> str:
    """Why the version that should answer does not, and which one does; empty if all is well."""
    served, trouble = live.served, live.trouble
    if trouble is None:
        return ""
    what = f"{trouble.version} cannot be loaded: " if trouble.version else ""
    goes_on = f". {served.version} goes on answering." if served is not None else ""
    return f"{what}{trouble.reason}{goes_on}"
