"""Catalogues find entries by looking, and refuse what they cannot make sense of."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from harness.catalogue import Catalogue
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Shelf = Callable[..., Catalogue["Thing"]]

DEFINES = "from tests.model.test_catalogue import Thing\nTHING = Thing({name!r})\n"


@dataclass(frozen=True)
class Thing:
    """An entry."""

    name: str


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """A function that makes a package of these files and returns its catalogue."""
    package = tmp_path / "shelf_of_things"
    package.mkdir()
    monkeypatch.syspath_prepend(tmp_path)

    def made(**sources: str) -> Catalogue[Thing]:
        for name, source in {"__init__": "", **sources}.items():
            (package / f"{name}.py").write_text(source, encoding="utf-8")
        return Catalogue("thing", package.name, "THING")

    yield made
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


def test_entries_are_found_by_looking_and_sorted(shelf: Shelf) -> None:
    """Adding an entry adds a file and touches no other; helpers begin with an underscore."""
    things = shelf(zebra=DEFINES.format(name="zebra"), ant=DEFINES.format(name="ant"), _help="")
    assert list(things.entries) == ["ant", "zebra"]
    assert things.get("ant") == Thing("ant")


def test_two_entries_of_one_name_are_an_error(shelf: Shelf) -> None:
    """Nobody should have to find out which of the two was meant."""
    things = shelf(ant=DEFINES.format(name="ant"), other=DEFINES.format(name="ant"))
    with pytest.raises(RuntimeError, match="two things are named 'ant'"):
        _ = things.entries


def test_a_public_file_without_an_entry_is_an_error(shelf: Shelf) -> None:
    """A forgotten or misspelt constant does not make an entry vanish."""
    with pytest.raises(RuntimeError, match=r"shelf_of_things\.ant defines no THING"):
        _ = shelf(ant="THNIG = 1").entries


def test_an_unknown_name_lists_the_valid_ones_and_guesses(shelf: Shelf) -> None:
    """One line: what was wrong, what was probably meant, what is valid."""
    things = shelf(zebra=DEFINES.format(name="zebra"), ant=DEFINES.format(name="ant"))
    with pytest.raises(UsageError) as error:
        things.get("zebar")
    assert str(error.value) == "No thing named 'zebar'. Did you mean 'zebra'? Valid: ant, zebra."
    with pytest.raises(UsageError) as error:
        things.get("xyz")
    assert str(error.value) == "No thing named 'xyz'. Valid: ant, zebra."


def test_an_empty_catalogue_says_that_nothing_is_valid(shelf: Shelf) -> None:
    """The list of valid names is never an empty end of a sentence."""
    with pytest.raises(UsageError, match=r"Valid: none\."):
        shelf().get("ant")
