"""What ``oversell doctor`` says of a machine, and how it exits."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from harness.postgres import connect, quote_identifier
from harness.postgres.audit import NAME_PREFIX, auditing
from harness.postgres.diagnosis import State, examine
from harness.postgres.embedded import PACKAGE
from tests.cli.commandline import oversell

if TYPE_CHECKING:
    from pathlib import Path

    from harness.postgres.diagnosis import Diagnosis


def states(diagnosis: Diagnosis) -> dict[str, State]:
    """Return how each thing was found."""
    return {finding.name: finding.state for finding in diagnosis.findings}


def detail(diagnosis: Diagnosis, name: str) -> str:
    """Return what was said of one thing."""
    return next(finding.detail for finding in diagnosis.findings if finding.name == name)


@pytest.fixture
def no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a Docker daemon."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


def test_the_command_ends_with_what_auto_would_choose(tmp_path: Path) -> None:
    """For a person: a table on standard output, then one line with the conclusion."""
    done = oversell("doctor", cwd=tmp_path, DOCKER_HOST=f"unix://{tmp_path}/docker.sock")
    assert done.returncode == 0, done.stderr
    for word in (
        "Python",
        "user",
        "data folder",
        "port",
        "Docker",
        "image",
        "embedded server",
        "PgBouncer",
        "left-over",
    ):
        assert word in done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("--database auto means: the embedded server, because no Docker daemon answers")


@pytest.mark.usefixtures("no_docker")
async def test_a_missing_pooler_is_worth_knowing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fault needs it, and nothing else does."""
    monkeypatch.setattr("harness.postgres.pooler._PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    diagnosis = await examine("embedded", None)
    assert (diagnosis.usable, states(diagnosis)["PgBouncer"]) == (True, State.NOTE)
    assert detail(diagnosis, "PgBouncer").endswith("apt install pgbouncer")


def test_the_document_says_the_same(tmp_path: Path) -> None:
    """For a program: one JSON document, and the exit code when there is nothing to run on."""
    url = "postgresql://u:hunter2@no-such-host.invalid/db"
    done = oversell("doctor", "--json", "--database", url, cwd=tmp_path)
    assert done.returncode == 2
    assert "hunter2" not in done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["usable"] is False
    assert "cannot be resolved" in document["choice"]
    assert {finding["state"] for finding in document["findings"]} <= {"good", "missing", "note"}


async def test_the_embedded_server_is_really_started(no_docker: None) -> None:
    """Without Docker it is what ``auto`` means; asked for a container, there is nothing."""
    diagnosis = await examine("auto", None)
    assert diagnosis.usable
    assert states(diagnosis)["Docker"] is State.MISSING
    assert "starts in" in detail(diagnosis, "embedded server")
    assert not (await examine("container", None)).usable
    assert (await examine("embedded", None)).choice == "the embedded server"


async def test_nothing_to_run_on_is_said_with_the_way_out(
    no_docker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither Docker nor the embedded server: not usable, and a URL would help."""
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    diagnosis = await examine("auto", None)
    assert not diagnosis.usable
    for part in ("no embedded server", "no Docker daemon", "--database postgresql://"):
        assert part in diagnosis.choice


async def test_the_server_behind_a_url_is_tried_and_left_alone(no_docker: None, database: str) -> None:
    """An empty database will do; one of somebody's would be refused, and nothing is made either way."""
    diagnosis = await examine(database, None)
    assert diagnosis.usable
    assert states(diagnosis)["database URL"] is State.GOOD
    assert "left-over databases" in states(diagnosis)
    connection = await connect(database)
    name = quote_identifier(await connection.fetchval("SELECT current_database()"))
    await connection.execute(f"COMMENT ON DATABASE {name} IS NULL")
    await connection.execute("CREATE TABLE orders ()")
    await connection.close()
    refused = await examine(database, None)
    assert not refused.usable
    assert "is not empty" in refused.choice


async def test_what_killed_audits_left_is_named_also_where_others_live(
    no_docker: None, database: str
) -> None:
    """An audit reads the database of somebody's service, which is no place to make others in."""
    connection = await connect(database)
    await connection.execute("CREATE TABLE orders (id integer)")
    assert detail(await examine(database, None), "left-over audits") == "none"
    await connection.execute(f"CREATE PUBLICATION {NAME_PREFIX}left FOR TABLE orders")
    async with auditing(database, {"public.orders": ("id",)}):
        assert detail(await examine(database, None), "left-over audits") == "none"
    await connection.execute(f"CREATE PUBLICATION {NAME_PREFIX}left FOR TABLE orders")
    await connection.close()
    said = detail(await examine(database, None), "left-over audits")
    assert said == f"publication {NAME_PREFIX}left: the next audit of this database removes them"


@pytest.mark.container
async def test_auto_means_the_container_when_the_image_is_here(image: str) -> None:
    """With a daemon and the image the conclusion is a container; with another image it is uncertain."""
    diagnosis = await examine("auto", image)
    assert diagnosis.choice == f"a container of {image}"
    assert "left-over containers" in states(diagnosis)
    other = await examine("auto", "oversell-no-such-image:local")
    assert states(other)["image"] is State.NOTE
    assert other.choice.endswith("else the embedded server")
