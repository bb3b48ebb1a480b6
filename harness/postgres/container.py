"""A server in a Docker container, through testcontainers.

testcontainers and the Docker client are imported when a daemon answers, not before: they take a third of a
second. Their own clean-up container cannot be had everywhere (it is an image of its own), so it is switched
off and the container is registered with our reaper before it is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import platform
import secrets
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.postgres import folders
from harness.postgres._guardian import docker_connection
from harness.postgres.connecting import connect
from harness.postgres.server import finish, new_run
from harness.postgres.settings import arguments
from harness.postgres.urls import build_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from harness.postgres.reaper import Reaper

DEFAULT_IMAGE = "postgres:17-alpine"
DEFAULT_DOCKER_HOST = "unix:///var/run/docker.sock"
LABEL = "dev.oversell.run"
"""The label every container of ours carries; its value is the container's name."""

OWNER_LABEL = "dev.oversell.owner"
"""The label that says on which machine and in which process a container's run is."""

PING_TIMEOUT = 5.0
API_TIMEOUT = 60.0
READY_TIMEOUT = 60.0
"""Seconds from the container's start until its server takes connections."""

_PORT = 5432
_USER = "postgres"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

T = TypeVar("T")


def docker_host() -> str:
    """Return the address of the Docker daemon: ``DOCKER_HOST``, the chosen context, or the usual socket."""
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"]
    chosen_elsewhere = (".docker/config.json", ".testcontainers.properties")
    if any((Path.home() / name).exists() for name in chosen_elsewhere):
        from testcontainers.core.docker_client import get_docker_host  # slow to import

        return get_docker_host() or DEFAULT_DOCKER_HOST
    return DEFAULT_DOCKER_HOST


def daemon_version(host: str) -> str:
    """Return the version of the Docker daemon at an address.

    :raises UsageError: when none answers.
    """
    with _told_plainly(f"no Docker daemon answers at {host}"):
        connection = docker_connection(host, PING_TIMEOUT)
        if connection is None:
            with contextlib.closing(_client(PING_TIMEOUT)) as client:
                return str(client.version()["Version"])
        with contextlib.closing(connection):
            connection.request("GET", "/version")
            return str(json.loads(connection.getresponse().read())["Version"])


def has_image(image: str) -> bool:
    """Say whether the daemon has the image.

    :raises UsageError: when it does not say.
    """
    from docker.errors import ImageNotFound  # slow to import

    with (
        _told_plainly("the Docker daemon does not list its images"),
        contextlib.closing(_client(API_TIMEOUT)) as it,
    ):
        try:
            it.images.get(image)
        except ImageNotFound:
            return False
        return True


def left_over_containers() -> list[str]:
    """Return the names of our containers whose run is not known to be alive.

    :raises UsageError: when the daemon does not say.
    """
    # The Docker client leaks its socket when nobody answers: ask ourselves first.
    daemon_version(docker_host())
    trouble = "the Docker daemon does not list its containers"
    with _told_plainly(trouble), contextlib.closing(_client(PING_TIMEOUT)) as client:
        found = client.containers.list(all=True, filters={"label": LABEL})
        return sorted(str(each.name) for each in found if _abandoned(each.labels.get(OWNER_LABEL, "")))


@contextlib.asynccontextmanager
async def run_container(
    reaper: Reaper, *, image: str, durable: bool, patience: float, notice: Callable[[str], None]
) -> AsyncIterator[str]:
    """Run a server in a container; yield the URL of its ``postgres`` database.

    :param patience: seconds the image may take to be pulled.
    :raises UsageError: when there is no daemon, no image, or the server does not come up.
    """
    host = docker_host()
    _require_near(host)
    await _aside(lambda: daemon_version(host))
    await _aside(lambda: _require_image(image, patience, notice))
    name = f"oversell-{new_run()}"
    password = secrets.token_urlsafe(24)
    container = await asyncio.to_thread(_describe, image, name, password, durable)
    reaper.watch_container(name, host)
    try:
        await finish(asyncio.to_thread(_start, container, image))
        places = await asyncio.to_thread(_places, container)
        urls = [build_url(user=_USER, password=password, host=host, port=port) for host, port in places]
        yield await _await_server(urls, container, image)
    finally:
        await finish(asyncio.to_thread(_remove, container))
        reaper.release(name)


def _client(timeout: float) -> Any:
    """Return a Docker client as testcontainers would make it."""
    from testcontainers.core.docker_client import DockerClient  # slow to import

    return DockerClient(timeout=timeout).client


def _describe(image: str, name: str, password: str, durable: bool) -> Any:
    """Return the container to be, not yet made."""
    from testcontainers.core.config import testcontainers_config  # slow to import
    from testcontainers.core.container import DockerContainer

    testcontainers_config.ryuk_disabled = True
    with _told_plainly("the Docker daemon does not answer"):
        container = DockerContainer(image, docker_client_kw={"timeout": API_TIMEOUT})
    # with_bind_ports cannot say "this address, any port".
    container.ports[f"{_PORT}/tcp"] = ("127.0.0.1", None)  # type: ignore[assignment]  # Docker's own form
    return (
        container.with_name(name)
        .with_kwargs(labels={LABEL: name, OWNER_LABEL: f"{platform.node()}:{os.getpid()}"})
        .with_envs(POSTGRES_USER=_USER, POSTGRES_PASSWORD=password, POSTGRES_DB="postgres")
        .with_command(["postgres", *arguments(durable=durable)])
    )


def _start(container: Any, image: str) -> None:
    with _told_plainly(f"no container could be started from {image}"):
        container.start()


def _places(container: Any) -> list[tuple[str, int]]:
    """Return where the server may be reached: at its published port, or, when we are in a container
    ourselves and so have another 127.0.0.1 than the daemon, on the network between the containers.
    """
    with _told_plainly("the container's port was not published"):
        made = container.get_wrapped_container()
        made.reload()
        network = made.attrs["NetworkSettings"]
        published = (network["Ports"].get(f"{_PORT}/tcp") or [])[:1]
        places = [("127.0.0.1", int(each["HostPort"])) for each in published]
        inner = [each.get("IPAddress") for each in network["Networks"].values()]
        return places + [(address, _PORT) for address in inner if address]


def _remove(container: Any) -> None:
    """Remove the container and its volumes; the reaper tries again should that fail."""
    with contextlib.suppress(UsageError), _told_plainly("the container could not be removed"):
        container.stop(force=True, delete_volume=True)


async def _await_server(urls: Sequence[str], container: Any, image: str) -> str:
    """Wait until the server in the container lets us in, as long as the container runs; return how."""
    deadline = time.monotonic() + READY_TIMEOUT
    trouble: UsageError | None = None
    while True:
        for url in urls:
            try:
                connection = await connect(url, timeout=5)
            except UsageError as error:
                trouble = error
            else:
                connection.terminate()
                return url
        await asyncio.to_thread(_require_running, container, image)
        if time.monotonic() > deadline:
            raise UsageError(f"the server in a container of {image} never got ready: {trouble}")
        await asyncio.sleep(0.1)


def _require_near(host: str) -> None:
    """Refuse a daemon on another machine: our containers' ports are published on its 127.0.0.1 only."""
    address = urlsplit(host)
    if address.scheme in ("tcp", "http", "https", "ssh") and address.hostname not in _LOOPBACK:
        raise UsageError(f"the Docker daemon at {host} is on another machine, out of reach of its containers")


def _require_running(container: Any, image: str) -> None:
    """Refuse a container that ended, with its last words."""
    with _told_plainly("the container cannot be looked at"):
        container.reload()
        if container.status in ("created", "running"):
            return
        words = b"".join(container.get_logs()).decode(errors="replace")
    last = " / ".join([line.strip() for line in words.splitlines() if line.strip()][-4:])
    raise UsageError(f"the container of {image} ended at once: {last or 'it said nothing'}")


def _require_image(image: str, patience: float, notice: Callable[[str], None]) -> None:
    """Have the image, pulling it if need be within so many seconds."""
    if has_image(image):
        return
    notice(f"Pulling the image {image} …")
    trouble = f"the image {image} is not here and could not be pulled"
    deadline = time.monotonic() + patience
    with _told_plainly(trouble), contextlib.closing(_client(min(patience, API_TIMEOUT))) as client:
        for word in _pull(client, image):
            if "error" in word:
                raise UsageError(f"{trouble}: {word['error']}")
            if time.monotonic() > deadline:
                raise UsageError(f"{trouble} within {patience:g} s")


def _pull(client: Any, image: str) -> Iterator[dict[str, Any]]:
    """Yield what the daemon says while it pulls."""
    from docker.utils import parse_repository_tag  # slow to import

    repository, tag = parse_repository_tag(image)
    yield from client.api.pull(repository, tag=tag or "latest", stream=True, decode=True)


def _abandoned(owner: str) -> bool:
    """Say whether a container's owner is not one of this machine's running processes."""
    machine, _, pid = owner.rpartition(":")
    return machine != platform.node() or not (pid.isdecimal() and folders.is_running(int(pid)))


@contextlib.contextmanager
def _told_plainly(what: str) -> Iterator[None]:
    """Turn whatever the Docker client raises into one line."""
    try:
        yield
    except UsageError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, http.client.HTTPException) as error:
        raise UsageError(f"{what}: {_words(error)}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("docker", "requests", "urllib3", "testcontainers"):
            raise UsageError(f"{what}: {_words(error)}") from error
        raise


def _words(error: BaseException) -> str:
    """Return an error's words as one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # What the daemon itself said, where the client wraps it in an HTTP status and an address.
    text = getattr(error, "explanation", None) or str(error)
    return (" ".join(text.split()) or type(error).__name__)[:300].rstrip(".")


async def _aside(work: Callable[[], T]) -> T:
    """Run blocking work in a thread of its own that nobody has to wait for: Ctrl-C does not."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # no error, so it is a result

    def target() -> None:
        result, trouble = None, None
        try:
            result = work()
        except Exception as error:  # handed over to whoever awaits
            trouble = error
        # The loop may be closed by then; nobody listens any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, trouble)

    threading.Thread(target=target, daemon=True, name="oversell-docker").start()
    return await future
