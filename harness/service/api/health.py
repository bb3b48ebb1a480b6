"""Is it up?"""

from __future__ import annotations

from litestar import Response, get
from litestar.datastructures import State

from harness.service.answers import answer_of, respond
from harness.service.api._common import refused_by
from harness.service.database import borrowed
from harness.service.messages import HealthAnswer


@get(
    "/healthz",
    responses=refused_by(),
    operation_id="getHealth",
    summary="Is it up?",
    tags=["operations"],
)
async def healthz(state: State) -> Response[HealthAnswer]:
    """Answer 200 only when a connection of the pool reaches Postgres."""
    async with borrowed(state.pool, state.settings) as connection:
        await connection.fetchval("SELECT 1")
    return respond(answer_of(200, HealthAnswer(success=True)))


HANDLERS = (healthz,)
