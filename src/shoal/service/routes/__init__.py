"""All routes: a file for each subject or page, listed here. A new file is added here alone."""

from __future__ import annotations

from importlib import import_module

from shoal.service.endpoints import Endpoint, Routes

SUBJECTS = (
    "recommend",
    "knobs",
    "items",
    "catalogue",
    "events",
    "track",
    "online",
    "versions",
    "refresh",
    "health",
)
PAGES = (  # files of `views`
    "rendering",
    "try_page",
    "steer_page",
    "item_page",
    "person_page",
    "models_page",
    "now_page",
    "online_page",
    "docs_page",
)


def all_endpoints() -> list[Endpoint]:
    """The endpoints of all subjects, in the order of the documentation."""
    endpoints: list[Endpoint] = []
    names = [f"{__name__}.{subject}" for subject in SUBJECTS]
    names += [f"shoal.service.views.{name}" for name in PAGES]
    for name in names:
        routes = import_module(name).routes
        assert isinstance(routes, Routes)
        endpoints += routes.endpoints
    return endpoints
