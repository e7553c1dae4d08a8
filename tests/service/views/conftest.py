"""The pages are tried on the same small model as the routes."""

from tests.service.routes.conftest import (  # noqa: F401
    fitted,
    serve,
    store,
    time_for_knobs,
    until,
)
