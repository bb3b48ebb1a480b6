"""An HTTP service of a few lines that sells by all eight designs, through one shared pool.

``POST /DESIGN?ticket=1&person=ada``. The database comes as ``DATABASE_URL``, the port from the kernel; the
first line on standard output says where it listens.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import asyncpg

from harness.model import Outcome
from tests.exploring.cases.designs import DESIGNS
from tests.exploring.cases.drivers import through_asyncpg

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

_STATUS = {Outcome.ACCEPTED: "200 OK", Outcome.SOLD_OUT: "409 Conflict"}


async def main() -> None:
    """Serve until killed."""
    pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=4)

    async def buy(target: str) -> Outcome:
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        design = DESIGNS[parts.path.strip("/")]
        async with pool.acquire() as db:
            return await through_asyncpg(db, design.buy(int(query["ticket"][0]), query["person"][0]))

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            while line := (await reader.readline()).decode():
                while (await reader.readline()).strip():
                    pass
                status = _STATUS[await buy(line.split()[1])]
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
