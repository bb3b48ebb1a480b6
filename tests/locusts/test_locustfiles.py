"""Locustfiles of one's own, with an engine and without."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from harness.load.messages import Chunk, Ended, Stats, Stop
from harness.model import Cancel, Outcome, Reserve
from tests.locusts.engine import auditing, is_complete
from tests.locusts.running import LOCUSTFILE, ROOT, free_port, locust
from tests.locusts.shop import EVENT, selling

EXAMPLE = ROOT / "examples" / "locustfile.py"
STEADY = ("--headless", "-u", "4", "-r", "4", "--only-summary")


async def test_somebodys_own_buyers_are_audited(tmp_path: Path) -> None:
    """One import brings the audit; users of other kinds run beside them, and are not recorded."""
    async with (
        auditing(500) as (shop, engine),
        locust(
            tmp_path / "log", *STEADY, "--host", shop.url, "--exit-code-on-error", "0",
            link=engine.address, file=EXAMPLE,
        ) as process,
    ):  # fmt: skip
        await engine.until_recorded(40)
        engine.say(Stop("seen enough"))
        assert await process.ends() == 0
        await engine.until_closed()
        kinds = Counter(type(call.operation) for _, call in engine.calls)
        assert set(kinds) == {Reserve, Cancel}
        outcomes = {call.answer.outcome for _, call in engine.calls}
        assert outcomes == {Outcome.ACCEPTED, Outcome.DUPLICATE}
        assert sum(kinds.values()) == len(shop.asked)
        assert engine.of(Stats)[-1].requests > len(shop.asked), "visitors are in Locust's figures"
        assert is_complete(engine)
        assert len(engine.of(Ended)) == 1
        assert '"Buyer"' not in process.said(), "our own buyer is left out"


async def test_the_bare_import_is_a_locustfile(tmp_path: Path) -> None:
    """Beside somebody's own users, our buyer runs as it is."""
    file = tmp_path / "mine.py"
    file.write_text("from harness.locusts import Buyer\n", encoding="utf-8")
    async with (
        auditing(5) as (_, engine),
        locust(tmp_path / "log", *STEADY, link=engine.address, file=file) as process,
    ):
        await engine.until(Chunk)
        engine.say(Stop("seen enough"))
        assert await process.ends() == 0


async def test_a_mistake_of_theirs_is_theirs(tmp_path: Path) -> None:
    """An exception in a task is Locust's to report; what was recorded before is kept."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from locust import task\n"
        "from harness.locusts import Buyer\n"
        "from harness.model import Reserve\n"
        "class Wrong(Buyer):\n"
        "    @task\n"
        "    def wrong(self):\n"
        "        me = self.arrive()\n"
        "        self.do(Reserve(ticket=me.ticket, person=me.person))\n"
        "        self.do(Reserve(ticket='nothing', person=me.person))\n",
        encoding="utf-8",
    )
    async with (
        auditing(5) as (_, engine),
        locust(tmp_path / "log", *STEADY, link=engine.address, file=file) as process,
    ):
        await engine.until_recorded(20)
        engine.say(Stop("seen enough"))
        assert await process.ends() == 1
        assert "nothing named 'nothing' is on sale; there is: general" in process.said()
        assert is_complete(engine)


async def test_without_an_engine_it_is_a_load_test(tmp_path: Path) -> None:
    """Ids from the command line; it says that nothing is audited."""
    ids = ("--oversell-event", EVENT, "--oversell-ticket", "general")
    async with (
        selling(general=5) as shop,
        locust(tmp_path / "log", *STEADY, "--host", shop.url, "-t", "1s", *ids) as process,
    ):
        assert await process.ends() == 0
        assert "Nothing is audited" in process.said()
        assert len(shop.asked) > 20
        assert "reserve" in process.said()


async def test_without_an_engine_workers_do_the_same(tmp_path: Path) -> None:
    """The master tells them what its command line says."""
    port = str(free_port())
    ids = ("--oversell-event", EVENT, "--oversell-ticket", "general", "--oversell-behaviours", "impatient=2")
    there = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port)
    async with (
        selling(general=5) as shop,
        locust(
            tmp_path / "master",
            *STEADY,
            "--host",
            shop.url,
            "-t",
            "2s",
            *ids,
            *there,
            "--expect-workers",
            "1",
        ) as master,
        locust(tmp_path / "worker", "--worker", "--master-port", port) as worker,
    ):
        assert await master.ends() == 0
        assert await worker.ends() == 0
        people = Counter(operation.person for operation in shop.asked)
        assert set(people.values()) == {2}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "--oversell-event ID --oversell-ticket ID"),
        (("--oversell-event", "1", "--oversell-ticket", "1", "--oversell-behaviours", "rash"), "'rush'"),
        (
            ("--oversell-event", "1", "--oversell-ticket", "1", "--oversell-behaviours", "rush=x"),
            "'x' is no weight",
        ),
    ],
)
async def test_what_is_missing_is_said(tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    """One line, what was wrong and the way out, and exit code 2."""
    async with locust(tmp_path / "log", *STEADY, "--host", "http://127.0.0.1:9", *options) as process:
        assert await process.ends() == 2
        assert reason in process.said()
        assert "Traceback" not in process.said()


def test_nothing_else_imports_locust() -> None:
    """Locust patches sockets and threads of whatever process it is imported into."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((ROOT / "harness").rglob("*.py"))
        if path.stem != "__main__" and "locusts" not in path.parts
    ]
    assert "harness.engines.burst" in names
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'locust', 'gevent'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *names],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    assert not {"locust", "gevent"} & set(sys.modules)


def test_no_test_imports_it_either() -> None:
    """All tests share one process."""
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert not name.startswith(("locust", "gevent", "harness.locusts")), path


def test_the_locustfile_is_where_it_is_looked_for() -> None:
    """It is found by path, since importing its package would patch whoever looks."""
    assert LOCUSTFILE.is_file()
