"""Answers as status and data, so that the same one can be stored and sent again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import MediaType, Response

from harness.service.errors import RETRY_AFTER, refusal_of
from harness.service.messages import ErrorAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over the wire: a status, a JSON body, and headers of its own."""

    status: int
    body: Any
    """Plain data: what :func:`json.loads` would return."""
    headers: Mapping[str, str] = field(default_factory=dict)


def answer_of(status: int, message: msgspec.Struct) -> Answer:
    """Return the answer that carries this message."""
    return Answer(status, msgspec.to_builtins(message))


def refusal_answer(error: Exception) -> Answer:
    """Return the answer to a request that ended in this error."""
    refusal = refusal_of(error)
    message = ErrorAnswer(success=False, error=refusal.code, message=refusal.message or str(error))
    headers = {"Retry-After": str(RETRY_AFTER)} if refusal.retry else {}
    return Answer(refusal.status, msgspec.to_builtins(message), headers)


def respond(answer: Answer) -> Response[Any]:
    """Return the answer as Litestar sends it."""
    return Response(
        # Sorted, so that an answer read back from the database is the first one to the byte.
        msgspec.json.encode(answer.body, order="sorted"),
        status_code=answer.status,
        media_type=MediaType.JSON,
        headers=dict(answer.headers),
    )
