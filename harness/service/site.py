"""The RSVP page, rendered on the server; a small script sends its form."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response, get
from litestar.datastructures import State
from litestar.params import FromQuery
from litestar.static_files import create_static_files_router

from harness.service.database import borrowed
from harness.service.events import describe_event
from harness.service.fields import is_event_number
from harness.service.proofs import PROOF_LIMIT, SIGNATURES
from harness.ticketing import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.ticketing import AvailabilityRow

PAGES = Path(__file__).parent / "pages"

_templates = Environment(loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined)

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@get("/rsvp", include_in_schema=False)
async def rsvp_page(state: State, event: FromQuery[str] = "") -> Response[str]:
    """Show an event's ticket types and the form that takes one of them."""
    if not is_event_number(event):
        return _page("no-event.html", status=404)
    try:
        async with borrowed(state.pool, state.settings) as connection:
            name, tickets = await describe_event(connection, int(event))
    except NotFoundError:
        return _page("no-event.html", status=404)
    return _page(
        "rsvp.html",
        event_id=int(event),
        event_name=name,
        tickets=[_shown(ticket) for ticket in tickets],
        accepted=",".join(SIGNATURES),
        limit=PROOF_LIMIT,
    )


HANDLERS: Sequence[Any] = (
    rsvp_page,
    create_static_files_router("/assets", directories=[PAGES / "assets"], include_in_schema=False),
)


def _shown(ticket: AvailabilityRow) -> dict[str, Any]:
    closed = ticket.deadline is not None and ticket.deadline <= datetime.now(UTC)
    return {
        "id": ticket.id,
        "name": ticket.name,
        "price": f"{ticket.price:.2f}",
        "deadline": "" if ticket.deadline is None else ticket.deadline.isoformat(),
        "open": ticket.available > 0 and not closed,
        "state": "Sale closed" if closed else f"{ticket.available} left" if ticket.available else "Sold out",
    }


def _page(template: str, *, status: int = 200, **values: Any) -> Response[str]:
    text = _templates.get_template(template).render(**values)
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=_HEADERS)
