"""What examples/swarm and docs/swarm.md tell people to run is what the code takes.

Every command line is parsed by the real commands, and every port, variable and path is held against where it
is used. Without a registry no image can be built; one test runs the containers' commands as processes.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import pytest
import yaml

from harness.cli import swarm
from harness.cli._commands import PROGRAM
from harness.cli._options import SETTINGS
from harness.cli._policy import Session
from harness.errors import UsageError
from harness.load.plan import Shape
from harness.service import __main__ as service
from tests.cli.commandline import OVERSELL, environment, without_settings
from tests.locusts.running import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "swarm"
PAGE = ROOT / "docs" / "swarm.md"
SERVICE = ("python", "-m", "harness.service")
ANYBODY = "0.0.0.0"  # noqa: S104  # containers have a network of their own
LOCUST_PORT = SETTINGS["port"].default
VARIABLES = {setting.variable for setting in SETTINGS.values()}
SERVICE_VARIABLES = {service.DATABASE_VARIABLE, *(number.variable for number in service.NUMBERS)}


@dataclass(frozen=True)
class Container:
    """A container of either manifest."""

    name: str
    host: str
    """Under which others reach it."""
    image: str
    words: tuple[str, ...]
    """Its whole command line, the image's entry point included."""
    environment: Mapping[str, str]
    ports: frozenset[int] = field(default_factory=frozenset)
    """On which others reach it; in a compose file everybody reaches every port."""
    copies: int = 1

    @property
    def ours(self) -> bool:
        """Whether it runs the image of the Dockerfile."""
        return self.image == "oversell"


def dockerfile() -> dict[str, list[str]]:
    """Return the instructions of the Dockerfile by name, continued lines joined."""
    text = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            found.setdefault(name, []).append(rest)
    return found


def entry_point() -> list[str]:
    """Return what a container of our image runs when nobody says otherwise."""
    words: list[str] = yaml.safe_load(dockerfile()["ENTRYPOINT"][-1])
    return words


def compose() -> dict[str, Any]:
    """Return the compose file, with its variables at their defaults."""
    text = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", (FOLDER / "compose.yaml").read_text())
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def of_compose() -> Iterator[Container]:
    """Yield the containers of the compose file."""
    for name, one in compose()["services"].items():
        start = one.get("entrypoint", entry_point() if one["image"] == "oversell" else [])
        yield Container(
            name=name,
            host=name,
            image=one["image"],
            words=(*start, *one["command"]),
            environment=one.get("environment", {}),
            copies=one.get("deploy", {}).get("replicas", 1),
        )


def kubernetes() -> list[dict[str, Any]]:
    """Return the objects of the Kubernetes manifest."""
    return list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))


def pods() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each object that makes pods, with what it says of them."""
    for one in kubernetes():
        if "template" in one.get("spec", {}):
            yield one, one["spec"]["template"]


def of_kubernetes() -> Iterator[Container]:
    """Yield the containers of the Kubernetes manifest."""
    services = {one["metadata"]["name"]: one["spec"] for one in kubernetes() if one["kind"] == "Service"}
    secret = next(one["stringData"] for one in kubernetes() if one["kind"] == "Secret")
    for made_by, pod in pods():
        app = pod["metadata"]["labels"]["app"]
        for one in pod["spec"]["containers"]:
            named = {port["name"]: port["containerPort"] for port in one.get("ports", ())}
            there = services.get(app, {"ports": (), "selector": {"app": app}})
            assert there["selector"] == {"app": app}
            for port in there["ports"]:
                assert named[port["targetPort"]] == port["port"]
            yield Container(
                name=one["name"],
                host=app,
                image=one["image"],
                words=(
                    *one.get("command", entry_point() if one["image"] == "oversell" else []),
                    *one["args"],
                ),
                environment={each["name"]: _value(each, secret) for each in one.get("env", ())},
                ports=frozenset(port["port"] for port in there["ports"]),
                copies=made_by["spec"].get("parallelism", made_by["spec"].get("replicas", 1)),
            )


def _value(variable: dict[str, Any], secret: Mapping[str, str]) -> str:
    if "value" in variable:
        return str(variable["value"])
    reference = variable["valueFrom"]["secretKeyRef"]
    assert reference["name"] == "database"
    return secret[reference["key"]]


def everything() -> list[Any]:
    """Return the containers of both manifests, for a test of each."""
    return [
        pytest.param(list(found), id=name)
        for name, found in (("compose", of_compose()), ("kubernetes", of_kubernetes()))
    ]


def parsed(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what ``oversell`` makes of a command line, contradictions refused, without running it."""
    assert words[0] == "oversell"
    monkeypatch.setattr(swarm, "listenable", lambda host, *_, **__: host)
    with PROGRAM.make_context("oversell", ["list"], obj=Session()) as top:
        made = PROGRAM.get_command(top, words[1])
        context = made.make_context(words[1], list(words[2:]), parent=top)
    if words[1] == "swarm":
        swarm.refuse_contradictions(context)
        if not context.params["worker"]:
            swarm.load_settings(context.params, context.meta[swarm.PASSED_ON])
    return context.params


def only(containers: Sequence[Container], flag: str) -> Container:
    """Return the one container with this word on its command line."""
    (found,) = (one for one in containers if flag in one.words)
    return found


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those that are written there."""
    without_settings(tmp_path, monkeypatch)


@pytest.mark.parametrize("containers", everything())
def test_every_command_line_is_taken(containers: list[Container], monkeypatch: pytest.MonkeyPatch) -> None:
    """By the command itself, with the environment it is given."""
    seen = set()
    for one in filter(lambda one: one.ours, containers):
        if one.words[: len(SERVICE)] == SERVICE:
            options = service._parser().parse_args(list(one.words[len(SERVICE) :]))
            assert options.host == ANYBODY
            assert set(one.environment) <= SERVICE_VARIABLES
            assert service.DATABASE_VARIABLE in one.environment
            seen.add("service")
            continue
        with monkeypatch.context() as patch:
            for name, value in one.environment.items():
                patch.setenv(name, value)
            params = parsed(one.words, patch)
        assert set(one.environment) <= VARIABLES
        seen.add("worker" if params["worker"] else "master")
    assert seen == {"service", "master", "worker"}


@pytest.mark.parametrize("containers", everything())
def test_a_settings_variable_that_is_none_would_ring(
    containers: list[Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is parsed here is refused for the same reasons as in a container."""
    monkeypatch.setenv("OVERSELL_DATABSE", "auto")
    with pytest.raises(UsageError, match="Did you mean 'OVERSELL_DATABASE'"):
        parsed(only(containers, "--master").words, monkeypatch)


@pytest.mark.parametrize("containers", everything())
def test_everybody_is_where_others_look(containers: list[Container], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts, ports and passwords on both sides are the same."""
    hosts = {one.host: one for one in containers}
    master, worker = only(containers, "--master"), only(containers, "--worker")
    shop = only(containers, "harness.service")
    at_master, at_worker = parsed(master.words, monkeypatch), parsed(worker.words, monkeypatch)
    target = urlsplit(at_master["target"])
    listening = service._parser().parse_args(list(shop.words[len(SERVICE) :]))
    assert hosts[str(target.hostname)] is shop
    assert target.port == listening.port
    assert hosts[at_worker["master_host"]] is master
    assert at_worker["master_port"] == at_master["port"] == LOCUST_PORT
    assert at_master["bind"] == listening.host == ANYBODY
    for one, port in ((shop, listening.port), (master, LOCUST_PORT)):
        assert not one.ports or port in one.ports
    database = urlsplit(shop.environment[service.DATABASE_VARIABLE])
    assert shop.environment[service.DATABASE_VARIABLE] == master.environment["OVERSELL_DATABASE"]
    postgres = hosts[str(database.hostname)]
    assert not postgres.ports or database.port in postgres.ports
    assert database.path == f"/{postgres.environment['POSTGRES_DB']}"
    assert database.password == postgres.environment["POSTGRES_PASSWORD"]


@pytest.mark.parametrize("containers", everything())
def test_the_master_waits_for_as_many_as_come(
    containers: list[Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more would be waited for in vain; one fewer would begin without somebody."""
    master, worker = only(containers, "--master"), only(containers, "--worker")
    assert parsed(master.words, monkeypatch)["expect_workers"] == worker.copies


@pytest.mark.parametrize("containers", everything())
def test_every_commit_can_be_read(containers: list[Container]) -> None:
    """Postgres is started with the log level that logical decoding needs."""
    postgres = next(one for one in containers if one.image.startswith("postgres"))
    assert "wal_level=logical" in postgres.words


@pytest.mark.parametrize("containers", everything())
def test_what_a_run_leaves_outlives_the_container(
    containers: list[Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run folder is on a volume, which the image makes writable for its user."""
    runs = parsed(only(containers, "--master").words, monkeypatch)["runs"]
    assert f"--owner=oversell {runs}" in dockerfile()["RUN"][-1]
    assert compose()["services"]["master"]["volumes"] == [f"runs:{runs}"]
    mounts = [
        mount["mountPath"]
        for made_by, pod in pods()
        for one in pod["spec"]["containers"]
        for mount in one.get("volumeMounts", ())
        if (made_by["kind"], made_by["metadata"]["name"]) == ("Job", "master")
    ]
    assert mounts == [str(runs)]


def test_no_secret_stands_on_a_command_line() -> None:
    """Every user of a machine can read those."""
    for one in (*of_compose(), *of_kubernetes()):
        assert not any("://" in word and "@" in word for word in one.words)


def test_kubernetes_sets_no_variables_of_its_own() -> None:
    """It would name them after services, and a master's would then be taken for a setting."""
    assert [pod["spec"].get("enableServiceLinks") for _, pod in pods()] == [False] * len(list(pods()))


def test_kubernetes_tries_nothing_twice() -> None:
    """A verdict is that of one run, and a worker that came back would have lost what it recorded."""
    jobs = {
        made_by["metadata"]["name"]: (made_by, pod) for made_by, pod in pods() if made_by["kind"] == "Job"
    }
    assert set(jobs) == {"master", "worker"}
    for made_by, pod in jobs.values():
        assert made_by["spec"]["backoffLimit"] == 0
        assert pod["spec"]["restartPolicy"] == "Never"
    workers = jobs["worker"][0]["spec"]
    assert workers["completions"] == workers["parallelism"]


def test_the_image_has_what_it_installs() -> None:
    """Everything that the build of the package reads is copied, and nothing that is not there."""
    copied = {word for line in dockerfile()["COPY"] for word in line.split()[:-1]}
    assert all((ROOT / word).exists() for word in copied)
    assert {"pyproject.toml", "README.md", "LICENSE", "harness", "scenarios", "sql", "reports"} <= copied
    assert {word for word in ("constraints.txt",) if word in dockerfile()["RUN"][0]} <= copied


def console_lines() -> list[str]:
    """Return every command line of ours that docs/swarm.md shows, continued lines joined."""
    blocks = re.findall(r"^```(?:console|sh)\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = [re.sub(r"^\S*\$ ", "", line) for line in lines]
    return [line for line in found if re.match(r"(\w+=\S+ )*oversell swarm", line)]


@pytest.mark.parametrize("line", console_lines())
def test_every_command_on_the_page_is_taken(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands there, with the variables before it."""
    (tmp_path / "mine.py").write_text("from harness.locusts import Buyer\n")
    words = shlex.split(line, comments=True)
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        assert name in VARIABLES
        monkeypatch.setenv(name, value)
    parsed(words, monkeypatch)


def test_every_flag_has_its_place_on_the_page() -> None:
    """Each option of the command that is about load is shown in some example or table."""
    page = PAGE.read_text("utf-8")
    flags = {option.opts[-1] for option in swarm.COMMAND.params if isinstance(option, click.Option)}
    elsewhere = {f"--{name}" for name in ("image", "seed", "scenarios", "color", "verbose", "law")}
    assert sorted(flag for flag in flags - elsewhere if flag not in page) == []


@pytest.mark.parametrize("page", ["swarm.md", "behaviours.md"])
def test_every_link_on_the_pages_leads_somewhere(page: str) -> None:
    """To a file of this repository, and to a heading in it where one is named."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, anchor = link.partition("#")
        file = (ROOT / "docs" / name).resolve() if name else ROOT / "docs" / page
        assert file.is_file(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, link


def test_every_shape_is_on_the_page() -> None:
    """The table of shapes is not made from the code, and has what there is."""
    shown = re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert set(Shape) == set(shown) & set(Shape)


async def test_the_compose_file_holds_what_it_promises(database: str, tmp_path: Path) -> None:
    """Its containers as processes of this machine: nothing but hosts, ports, paths and size is another."""
    containers = {one.name: one for one in of_compose()}
    http, locust = free_port(), free_port()
    here: dict[str, str | tuple[str, ...]] = {
        "http://shop:8000": f"http://127.0.0.1:{http}",
        "8000": str(http),
        "master": "127.0.0.1",
        str(LOCUST_PORT): str(locust),
        ANYBODY: "127.0.0.1",
        "/runs": str(tmp_path / "runs"),
        "200": "20",
        "60s": "3s",
        "4": "2",
        "python": sys.executable,
        "oversell": OVERSELL,
    }
    url = containers["shop"].environment[service.DATABASE_VARIABLE]

    async def started(name: str) -> asyncio.subprocess.Process:
        one = containers[name]
        words = [word for each in one.words for word in _here(each, here)]
        variables = {variable: value.replace(url, database) for variable, value in one.environment.items()}
        return await asyncio.create_subprocess_exec(
            *words,
            cwd=tmp_path,
            env=environment(**variables),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async with asyncio.timeout(100), asyncio.TaskGroup() as group:
        running = [await started(name) for name in ("shop", "worker", "worker")]
        try:
            assert running[0].stdout is not None
            assert await running[0].stdout.readline(), "it says when it is ready"
            running.append(await started("master"))
            said = [group.create_task(process.communicate()) for process in running[1:]]
            codes = [await process.wait() for process in running[1:]]
        finally:
            for process in running:
                if process.returncode is None:
                    process.terminate()
            await asyncio.gather(*(process.wait() for process in running))
    told = b"".join(each.result()[1] for each in said).decode()
    assert codes == [0, 0, 0], told
    (check,) = json.loads((tmp_path / "runs" / "latest" / "verdict.json").read_text())["checks"]
    assert (check["verdict"], check["audit"]) == ("safe", "every commit"), told


def _here(word: str, here: Mapping[str, str | tuple[str, ...]]) -> tuple[str, ...]:
    found = here.get(word, word)
    return found if isinstance(found, tuple) else (found,)
