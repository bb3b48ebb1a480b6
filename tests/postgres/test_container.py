"""The container: started, reached, removed; and what becomes of ``auto`` without it."""

from __future__ import annotations

import json
import os
import platform
import secrets
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.errors import UsageError
from harness.postgres import connect, provision
from harness.postgres.container import LABEL, OWNER_LABEL, left_over_containers
from tests.postgres.support import LIMIT, child, peer, silence

if TYPE_CHECKING:
    from pathlib import Path

    from harness.postgres import Server

MISSING_IMAGE = "oversell-no-such-image:local"


def docker(*arguments: str) -> str:
    """Return what the Docker client answers."""
    done = subprocess.run(
        ["docker", *arguments],  # noqa: S607  # wherever the machine has it
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    return done.stdout.strip()


async def fetch(server: Server, statement: str) -> str:
    """Return the one value a statement yields."""
    connection = await connect(server.url("postgres"))
    try:
        return str(await connection.fetchval(statement))
    finally:
        await connection.close()


async def container_of(server: Server) -> str:
    """Return the id of the container a server runs in."""
    return (await fetch(server, "SELECT pg_read_file('/etc/hostname')")).strip()


def exists(container: str) -> bool:
    """Say whether the daemon still has that container."""
    return bool(docker("ps", "--all", "--quiet", "--filter", f"id={container}"))


@pytest.mark.container
async def test_a_container_serves_and_leaves_nothing(image: str) -> None:
    """It is cloned in like any other server, its port is on 127.0.0.1 only, and it goes with its volumes."""
    async with provision("container", image=image) as server:
        container = await container_of(server)
        about = json.loads(docker("inspect", container))[0]
        async with server.empty("in a container") as url:
            connection = await connect(url)
            assert await connection.fetchval("SHOW wal_level") == "logical"
            await connection.close()
        ports = [each for bound in about["NetworkSettings"]["Ports"].values() for each in bound or ()]
        assert {port["HostIp"] for port in ports} == {"127.0.0.1"}
        assert about["Config"]["Labels"][LABEL] == about["Name"].strip("/")
        assert about["Name"].strip("/") not in left_over_containers()
        assert server.kind == "container"
        assert image in server.description
    assert not exists(container)
    assert not {mount["Name"] for mount in about["Mounts"]} & set(docker("volume", "ls", "--quiet").split())


@pytest.mark.container
async def test_auto_takes_the_container_when_the_image_is_here(image: str) -> None:
    """With a daemon and the image, ``auto`` is a container."""
    async with provision("auto", image=image) as server:
        assert server.kind == "container"


@pytest.mark.container
@pytest.mark.parametrize("ending", ["raise", "interrupt", "kill"])
def test_a_container_goes_however_the_run_ends(image: str, ending: str) -> None:
    """An exception, Ctrl-C and SIGKILL all leave no container."""
    with child("container", "raise" if ending == "raise" else "wait", image=image) as run:
        if ending != "raise":
            assert exists(run.host)
            run.process.send_signal(signal.SIGINT if ending == "interrupt" else signal.SIGKILL)
        assert run.ended() != 0
        assert not exists(run.host)


@pytest.mark.container
async def test_auto_without_the_image_takes_the_embedded_server_and_says_why(image: str) -> None:
    """An image that cannot be had is given up, and the description says so in one line."""
    heard: list[str] = []
    async with provision("auto", image=MISSING_IMAGE, notice=heard.append) as server:
        assert server.kind == "embedded"
        assert f"because the image {MISSING_IMAGE} is not here and could not be pulled" in server.description
        assert "\n" not in server.description
    assert heard == [f"Pulling the image {MISSING_IMAGE} …"]


@pytest.mark.container
async def test_a_container_without_its_image_is_refused(image: str) -> None:
    """Asked for by name, a container that cannot be had is an error, not something else instead."""
    with pytest.raises(UsageError, match="could not be pulled"):
        async with provision("container", image=MISSING_IMAGE):
            pass


@pytest.mark.container
async def test_a_container_that_ends_at_once_is_quoted_and_removed(
    image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's last words are in the message, and the container is gone."""
    monkeypatch.setattr("harness.postgres.settings.MAX_CONNECTIONS", "many")
    with pytest.raises(UsageError, match=r"ended at once: .*max_connections"):
        async with provision("container", image=image):
            pass
    owned = f"label={OWNER_LABEL}={platform.node()}:{os.getpid()}"
    assert not docker("ps", "--all", "--quiet", "--filter", owned)


@pytest.mark.container
def test_a_container_of_a_dead_run_is_found(image: str) -> None:
    """One whose process is gone is a left-over, and named."""
    name = f"oversell-test-{secrets.token_hex(4)}"
    owner = f"{OWNER_LABEL}={platform.node()}:{2**22 + 1}"
    docker("create", "--name", name, "--label", f"{LABEL}={name}", "--label", owner, image)
    try:
        assert name in left_over_containers()
    finally:
        docker("rm", "--force", "--volumes", name)
    assert name not in left_over_containers()


async def test_no_daemon_is_no_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a daemon a container is refused in one line, and ``auto`` takes the embedded server."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(UsageError, match="no Docker daemon answers at unix://"):
        async with provision("container"):
            pass
    async with provision("auto") as server:
        assert server.kind == "embedded"
        assert "because no Docker daemon answers at unix://" in server.description


async def test_a_daemon_on_another_machine_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports published over there on 127.0.0.1 cannot be reached from here, and nothing is published wider."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://docker.invalid:2375")
    with pytest.raises(UsageError, match="on another machine"):
        async with provision("container"):
            pass


async def test_a_daemon_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for a hung daemon is bounded."""
    monkeypatch.setattr("harness.postgres.container.PING_TIMEOUT", 0.3)
    async with peer(silence) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        with pytest.raises(UsageError, match="no Docker daemon answers"):
            async with provision("container"):
                pass
