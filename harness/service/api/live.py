"""Availability as it changes, over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import WebSocket, websocket
from litestar.datastructures import State
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath

from harness.service.errors import ServiceError, refusal_of
from harness.service.fields import is_event_number
from harness.service.mailbox import Sync
from harness.service.notices import TooManySocketsError

if TYPE_CHECKING:
    import asyncpg

    from harness.service.mailbox import Mailbox
    from harness.service.notices import Notices
    from harness.service.settings import Settings

NO_SUCH_EVENT = 4404
TRY_AGAIN_LATER = 1013
NOT_UNDERSTOOD = 1008
BROKEN = 1011
SYNCS_AT_ONCE = 8
"""Syncs of one socket that are answered at the same time; more of them wait."""

# RuntimeError is what uvicorn raises between closing a socket itself, as for a ping without an answer, and
# telling us.
_LEFT = (OSError, WebSocketDisconnect, RuntimeError)
"""What sending raises when there is nobody to send to any more, or nothing moved for too long."""

log = logging.getLogger(__name__)


class _Closing(Exception):  # noqa: N818  # no error: the orderly end of a socket
    """The socket is to be closed by us."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Gone(Exception):  # noqa: N818  # no error: the client may leave when it likes
    """The client has left, or cannot be reached any more."""


@websocket("/api/events/{event_id:str}/live")
async def live(socket: WebSocket[Any, Any, Any], state: State, event_id: FromPath[str]) -> None:
    """Send what is available of an event, and then every change of it, until somebody leaves."""
    await socket.accept()
    try:
        await _serve(socket, state, event_id)
    except _Closing as closing:
        await _close(socket, closing.code, closing.reason)
    except _Gone:
        pass
    except Exception:
        log.exception("A live socket failed")
        await _close(socket, BROKEN, "something broke on our side")


async def _close(socket: WebSocket[Any, Any, Any], code: int, reason: str) -> None:
    with contextlib.suppress(*_LEFT):
        await socket.close(code, reason)


async def _serve(socket: WebSocket[Any, Any, Any], state: State, event_id: str) -> None:
    notices: Notices | None = state.notices
    if not is_event_number(event_id):
        raise _Closing(NO_SUCH_EVENT, "there is no such event")
    if notices is None:
        raise _Closing(TRY_AGAIN_LATER, "no changes are heard here")
    try:
        with notices.watch(int(event_id)) as mailbox:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_send(socket, mailbox, state.settings))
                tasks.create_task(_answer(socket, mailbox, notices, state.pool, tasks))
                tasks.create_task(_begin(mailbox, state.settings))
    except TooManySocketsError:
        raise _Closing(TRY_AGAIN_LATER, "too many sockets are open") from None
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


async def _begin(mailbox: Mailbox, settings: Settings) -> None:
    """Give up when the present state cannot be had in time."""
    try:
        async with asyncio.timeout(settings.pool_wait):
            await mailbox.begun.wait()
    except TimeoutError:
        raise _Closing(TRY_AGAIN_LATER, "what is available cannot be read at this moment") from None


async def _send(socket: WebSocket[Any, Any, Any], mailbox: Mailbox, settings: Settings) -> None:
    """Send what comes into the mailbox; a client that takes nothing for too long is given up."""
    while True:
        messages = await mailbox.take()
        if mailbox.gone:
            raise _Closing(NO_SUCH_EVENT, "there is no such event")
        for message in messages:
            try:
                async with asyncio.timeout(settings.stalled_wait):
                    await socket.send_text(msgspec.json.encode(message))
            except _LEFT:
                raise _Gone from None


async def _answer(
    socket: WebSocket[Any, Any, Any],
    mailbox: Mailbox,
    notices: Notices,
    pool: asyncpg.Pool,
    tasks: asyncio.TaskGroup,
) -> None:
    """Answer what the client sends: syncs, several at once, each in a task of its own."""
    free = asyncio.Semaphore(SYNCS_AT_ONCE)
    while True:
        asked = await _receive(socket)
        await free.acquire()
        syncing = tasks.create_task(_sync(asked, mailbox, notices, pool))
        syncing.add_done_callback(lambda _: free.release())


async def _receive(socket: WebSocket[Any, Any, Any]) -> Sync:
    try:
        return msgspec.json.decode(await socket.receive_text(), type=Sync)
    except WebSocketDisconnect:
        raise _Gone from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _Closing(NOT_UNDERSTOOD, 'only {"type":"sync"} is understood') from None


async def _sync(asked: Sync, mailbox: Mailbox, notices: Notices, pool: asyncpg.Pool) -> None:
    await mailbox.begun.wait()
    try:
        await notices.catch_up(pool, mailbox.event)
    except Exception as error:
        if isinstance(error, TimeoutError | ServiceError) or refusal_of(error).retry:
            raise _Closing(TRY_AGAIN_LATER, "the database cannot be asked at this moment") from None
        raise
    mailbox.synced(asked.id)


HANDLERS = (live,)
