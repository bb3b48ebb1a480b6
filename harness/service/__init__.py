"""The reference RSVP service: one way to sell the shipped ``sql/`` over HTTP without overselling.

Layers, from the wire inwards: :mod:`~harness.service.server` (sockets and signals),
:mod:`~harness.service.app` (routes), :mod:`~harness.service.api` and :mod:`~harness.service.site` (thin
handlers), :mod:`~harness.service.purchase` (the one function that sells), and below it
:mod:`harness.ticketing`. What went wrong becomes a status in one place, :mod:`~harness.service.errors`.

The contract it speaks is written down in ``docs/service.md``, for people who write another one.
"""

from harness.service.app import create_app
from harness.service.demo import seed_demo
from harness.service.server import serve
from harness.service.settings import Settings

__all__ = ["Settings", "create_app", "seed_demo", "serve"]
