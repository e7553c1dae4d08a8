"""The documentation of the API, shown by Swagger UI from our own files."""

from __future__ import annotations

from shoal.service.endpoints import Call, Reply, Routes
from shoal.service.problems import Problem
from shoal.service.views.rendering import HTML, OWN_FILES, templates

routes = Routes("pages")

POLICY = OWN_FILES + "form-action 'none'"


@routes.get("/docs", documented=False, access="open", names_model=False)
def docs(call: Call) -> Reply:
    """Show the documentation of the API."""
    if not call.service.settings.docs:
        raise Problem(404, "this service shows no documentation (setting docs)")
    text = templates().get_template("docs.html").render()
    return Reply(text.encode(), media_type=HTML, headers={"Content-Security-Policy": POLICY})
