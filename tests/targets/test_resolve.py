"""From the word after --target to a target, or to a sentence that helps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from harness.errors import UsageError
from harness.model import Feature, Target
from harness.targets import KINDS, resolve

if TYPE_CHECKING:
    from pathlib import Path

SHOP = """
import contextlib

class Shop:
    name = "shop"
    supports = frozenset({"reserve"})
    async def install(self, database): ...
    @contextlib.asynccontextmanager
    async def start(self, database, folder):
        yield None

def make():
    return Shop()

shop = Shop()
class Namespace:
    inner = shop
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which modules are looked up; they are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def refusal(spec: str) -> str:
    """Return why there is no such target."""
    with pytest.raises(UsageError) as caught:
        resolve(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("sql", "sql"),
        ("service", "service"),
        ("specimen:naive", "naive"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_every_kind_of_target_is_found_by_how_it_is_written(spec: str, name: str) -> None:
    """And speaks the protocol."""
    target = resolve(spec)
    assert target.name == name
    assert isinstance(target, Target)
    assert Feature.RESERVE in target.supports


@pytest.mark.parametrize("spec", ["", "sqll", "specimen", "mysql://x", "shop.py", "a:b:c", "über cool"])
def test_what_is_no_target_lists_how_they_are_written(spec: str) -> None:
    """Every kind, so that one does not have to look it up."""
    said = refusal(spec)
    assert repr(spec) in said
    assert all(kind.usage in said for kind in KINDS.entries.values())


def test_every_kind_is_documented() -> None:
    """The first line of its file says what it is."""
    assert all(kind.title.endswith((".", ",", "``.")) for kind in KINDS.entries.values())


@pytest.mark.parametrize("spec", ["shop:Shop", "shop:make", "shop:shop", "shop:Namespace.inner"])
def test_an_object_is_taken_and_a_class_or_function_called(spec: str, folder: Path) -> None:
    """Whatever is handy in the module of the person's own."""
    (folder / "shop.py").write_text(SHOP)
    assert resolve(spec).name == "shop"


@pytest.mark.parametrize(
    ("text", "spec", "words"),
    [
        (None, "nowhere_at_all:shop", "No module named 'nowhere_at_all'; looked in"),
        (
            "import nothing_of_the_sort",
            "shop:shop",
            "cannot be imported: No module named 'nothing_of_the_sort'",
        ),
        ("def broken(:", "shop:shop", "cannot be imported: SyntaxError"),
        ("1 / 0", "shop:shop", "ZeroDivisionError"),
        ("raise SystemExit(0)", "shop:shop", "SystemExit: 0"),
        (SHOP, "shop:shopp", "no 'shopp' there. Public names: contextlib, Shop, make, shop, Namespace"),
        (SHOP, "shop:Namespace.outer", "no 'outer' there"),
        ("shop = 3", "shop:shop", "is a int without name, supports, install, start"),
        ("def shop(): raise ValueError('no stock')", "shop:shop", "cannot be made: ValueError: no stock"),
        ("def shop(): raise SystemExit(0)", "shop:shop", "cannot be made: SystemExit: 0"),
        ("def shop(x): ...", "shop:shop", "cannot be made: TypeError"),
        (SHOP + "\nShop.supports = {'teleport'}", "shop:shop", "'teleport' is not a valid Feature"),
        (SHOP + "\nShop.supports = None", "shop:shop", "supports must be a set of features"),
        (SHOP + "\nShop.supports = {'cancel'}", "shop:shop", "does not support reserve"),
        (SHOP + "\ndel Shop.start", "shop:shop", "without start"),
    ],
)
def test_an_object_that_is_no_target_is_refused(
    text: str | None, spec: str, words: str, folder: Path
) -> None:
    """One sentence: what was looked for, and what is missing."""
    if text is not None:
        (folder / "shop.py").write_text(text)
    assert words in refusal(spec)


@pytest.mark.parametrize("url", ["http://me:secret@127.0.0.1:1", "https://me:secret@shop.example/"])
def test_a_password_in_a_services_url_is_refused_and_not_repeated(url: str) -> None:
    """It would end up in every report."""
    assert "secret" not in refusal(url)
