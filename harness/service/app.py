"""The application: routes, error answers and the OpenAPI document, around a pool that somebody else owns."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from harness import __version__
from harness.service import api, site
from harness.service.answers import refusal_answer, respond
from harness.service.errors import belongs_in_log
from harness.service.settings import Settings

if TYPE_CHECKING:
    import asyncpg

    from harness.service.notices import Notices

log = logging.getLogger(__name__)


def create_app(
    pool: asyncpg.Pool, settings: Settings | None = None, notices: Notices | None = None
) -> Litestar:
    """Return the service as an ASGI application.

    :param pool: connections to a database that has the ticketing schema. Opening and closing it is up
        to the caller.
    :param notices: what hears of changes; without it, whoever wants to watch is told to come back later.
    """
    return Litestar(
        route_handlers=[*api.HANDLERS, *site.HANDLERS],
        state=State({"pool": pool, "settings": settings or Settings(), "notices": notices}),
        exception_handlers={Exception: answer_error},
        openapi_config=OpenAPIConfig(
            title="Oversell's reference RSVP service",
            version=__version__,
            description="Sells tickets without overselling them. Every refusal has one shape: ErrorAnswer.",
            use_handler_docstrings=True,
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
        ),
        # What is worth a line goes to the standard library's logging, below; nothing else does.
        logging_config=None,
    )


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer any error in the one shape all of them have, and log it when somebody should look."""
    if belongs_in_log(error):
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return respond(refusal_answer(error))
