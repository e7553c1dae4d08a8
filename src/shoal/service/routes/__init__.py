"""All routes: a file for each subject, listed here. A new file is added to `SUBJECTS` alone."""

from __future__ import annotations

from importlib import import_module

from shoal.service.endpoints import Endpoint, Routes

SUBJECTS = ("recommend", "items", "catalogue", "events", "versions", "refresh", "health", "pages")


def all_endpoints() -> list[Endpoint]:
    """The endpoints of all subjects, in the order of the documentation."""
    endpoints: list[Endpoint] = []
    for subject in SUBJECTS:
        routes = import_module(f"{__name__}.{subject}").routes
        assert isinstance(routes, Routes)
        endpoints += routes.endpoints
    return endpoints
