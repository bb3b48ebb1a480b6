"""The live books on Locust's own page: two tabs beside Locust's, fed with what the engine says.

Locust's page is made to be extended: tables are described in its template's arguments, and filled from
``extended_stats`` in what it polls. It shows what it is given as text, never as markup. The same numbers are
served as JSON under ``/oversell/live``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flask import Response, jsonify, request

from harness.load.messages import Live

if TYPE_CHECKING:
    from locust.web import WebUI

BOOKS = "books"
AUDIT = "audit"
TABS = ({"title": "Books", "key": BOOKS}, {"title": "Audit", "key": AUDIT})
TABLES = (
    {
        "key": BOOKS,
        "structure": [
            {"key": "name", "title": "Ticket type"},
            {"key": "initial", "title": "On sale"},
            {"key": "sold", "title": "Sold"},
            {"key": "held", "title": "Held"},
            {"key": "remaining", "title": "Remaining"},
            {"key": "oversold", "title": "Oversold by"},
        ],
    },
    {
        "key": AUDIT,
        "structure": [{"key": "name", "title": "What"}, {"key": "value", "title": "Now"}],
    },
)


class BooksTab:
    """What the tabs show."""

    def __init__(self) -> None:
        self.live = Live({}, {})

    def add_to(self, page: WebUI) -> None:
        """Add the tabs to Locust's page, and the route."""
        app = page.app
        assert app is not None  # noqa: S101  # Locust makes it before init
        page.template_args |= {"extended_tabs": list(TABS), "extended_tables": list(TABLES)}
        app.after_request(self._add_numbers)
        base = getattr(page.environment.parsed_options, "web_base_path", "") or ""
        route = page.auth_required_if_enabled(self._serve)
        app.add_url_rule(f"{base}/oversell/live", "oversell_live", route)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of both tables, as Locust's page wants them."""
        live = self.live
        books = [{"name": name, **row, "oversold": _oversold(row)} for name, row in live.tickets.items()]
        audit: list[dict[str, Any]] = [{"name": name, "value": now} for name, now in live.numbers.items()]
        if live.note:
            audit.append({"name": "note", "value": live.note})
        return [{"key": BOOKS, "data": books}, {"key": AUDIT, "data": audit}]

    def _serve(self) -> Response:
        live = self.live
        return jsonify({"tickets": live.tickets, "numbers": live.numbers, "note": live.note})

    def _add_numbers(self, response: Response) -> Response:
        """Add our numbers to what the page polls. Who may not see that is answered otherwise."""
        if request.endpoint == "locust.request_stats" and response.status_code == 200 and response.is_json:
            response.set_data(json.dumps({**response.get_json(), "extended_stats": self.rows()}))
        return response


def _oversold(stock: dict[str, int]) -> int:
    """Return by how much more was sold, held and left than there ever was."""
    taken = stock.get("sold", 0) + stock.get("held", 0) + stock.get("remaining", 0)
    return max(0, taken - stock.get("initial", taken))
