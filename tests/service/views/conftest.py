"""The pages are tried on the same small model as the routes."""

from tests.service.routes.conftest import fitted, serve, store, until  # noqa: F401
