"""Scenario files as people write them: found, built, or refused with the file and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.content import content
from harness.driving.scenarios import choose_scenarios, load_scenarios
from harness.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = '''"""A small crowd.

More words.
"""
from harness.model import Phase, Program, Reserve, Scenario, TicketType

def scenario(buyers: int = 3) -> Scenario:
    programs = tuple(
        Program(f"buyer-{number}", (Reserve(ticket="general", person=f"buyer-{number}"),))
        for number in range(buyers)
    )
    return Scenario(
        tickets=(TicketType(name="general", initial=1),),
        phases=(Phase("p", programs),),
    )
'''


def written(folder: Path, name: str, text: str | bytes) -> Path:
    """Write a scenario file and return its folder."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def refusal(*folders: Path) -> str:
    """Return why these folders are refused."""
    with pytest.raises(UsageError) as caught:
        load_scenarios(folders)
    return str(caught.value)


def test_a_file_is_a_scenario_of_its_name(tmp_path: Path) -> None:
    """Name from the file, page from the docstring, crowd from the default or from whoever asks."""
    loaded = load_scenarios([written(tmp_path, "small", GOOD)])["small"]
    assert (loaded.title, loaded.buyers) == ("A small crowd.", 3)
    assert (loaded.build().name, loaded.build().crowd, loaded.build(7).crowd) == ("small", 3, 7)
    assert "More words." in loaded.build().doc


def test_private_files_and_other_files_are_no_scenarios(tmp_path: Path) -> None:
    """Helpers begin with an underscore."""
    written(tmp_path, "_helper", "raise RuntimeError")
    (tmp_path / "notes.txt").write_text("none")
    assert load_scenarios([tmp_path]) == {}


def test_several_folders_are_read_in_alphabetical_order(tmp_path: Path) -> None:
    """What is listed and driven does not depend on which folder a file is in."""
    first = written(tmp_path / "a", "zoo", GOOD)
    second = written(tmp_path / "b", "ant", GOOD)
    assert list(load_scenarios([first, second])) == ["ant", "zoo"]


def test_the_same_file_twice_is_one_scenario(tmp_path: Path) -> None:
    """A checkout run from its own folder sees its scenarios by two ways."""
    first, second = written(tmp_path / "a", "small", GOOD), written(tmp_path / "b", "small", GOOD)
    assert list(load_scenarios([first, second, first])) == ["small"]


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    """Neither may silently win; both places are named."""
    first = written(tmp_path / "a", "small", GOOD)
    second = written(tmp_path / "b", "small", GOOD + "# changed\n")
    said = refusal(first, second)
    assert "Two scenarios are named 'small'" in said
    assert str(first) in said
    assert str(second) in said


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """The path is named."""
    assert refusal(tmp_path / "nowhere") == f"No scenario folder at {tmp_path / 'nowhere'}."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def scenario(buyers: int = 3) -> Scenario\n    return", "line 1"),
        ("x = 1\n\nif:", "line 3"),
        (b"caf\xe9 = 1\n", "utf-8"),
        (b"x = 1\0\n", "null bytes"),
        ("import not_installed_anywhere", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(0)", "SystemExit: 0"),
        ("", "defines no function scenario"),
        ("scenario = 3", "defines no function scenario"),
        ("def scenario(): ...", "takes one argument with a default"),
        ("def scenario(buyers): ...", "takes one argument with a default"),
        ("def scenario(buyers='3'): ...", "takes one argument with a default"),
        ("def scenario(buyers=3, stock=2): ...", "takes one argument with a default"),
        ("def scenario(*buyers): ...", "takes one argument with a default"),
        ("scenario = dict", "takes one argument with a default"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(text: str | bytes, words: str, tmp_path: Path) -> None:
    """One sentence: which file, and what is wrong with it."""
    said = refusal(written(tmp_path, "broken", text))
    assert words in said
    assert "broken.py" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return None", "returned a NoneType, not a harness.model.Scenario"),
        ("return {'tickets': 3}", "returned a dict"),
        ("raise ValueError('too few buyers')", "ValueError: too few buyers"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        (
            "from harness.model import Scenario; return Scenario(tickets=(), phases=())",
            "at least one operation",
        ),
        ("return undefined", "NameError"),
    ],
)
def test_a_scenario_that_cannot_be_built_is_refused(body: str, words: str, tmp_path: Path) -> None:
    """Raising and returning something else are the file's fault, and said so."""
    folder = written(tmp_path, "broken", f"def scenario(buyers=3):\n    {body}\n")
    loaded = load_scenarios([folder])["broken"]
    with pytest.raises(UsageError, match="Scenario 'broken'") as caught:
        loaded.build()
    assert words in str(caught.value)


def test_a_scenario_is_chosen_by_name_once(tmp_path: Path) -> None:
    """In the order asked for; all of them when none is named."""
    known = load_scenarios([content("scenarios")])
    assert [file.name for file in choose_scenarios(known, ["rush", "last_ticket", "rush"])] == [
        "rush",
        "last_ticket",
    ]
    assert [file.name for file in choose_scenarios(known, [])] == list(known)


def test_an_unknown_scenario_lists_the_valid_ones() -> None:
    """With the closest one first."""
    known = load_scenarios([content("scenarios")])
    with pytest.raises(UsageError, match=r"Did you mean 'rush'\?") as caught:
        choose_scenarios(known, ["rusch"])
    assert all(name in str(caught.value) for name in known)


def test_two_files_with_one_inner_name_do_not_hide_each_other(tmp_path: Path) -> None:
    """Files are imported under names of their own, so 'json.py' is a scenario and json stays json."""
    import json

    folder = written(tmp_path, "json", GOOD)
    assert load_scenarios([folder])["json"].build().name == "json"
    assert json.loads("1") == 1


def test_the_scenario_in_the_documentation_is_one(tmp_path: Path) -> None:
    """Whoever copies it from the page has a file that runs."""
    page = (content("scenarios").parent / "docs" / "scenarios.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    loaded = load_scenarios([written(tmp_path, "copied", code)])["copied"]
    assert loaded.build(2).crowd == 2
    assert loaded.title == "One ticket is left, and everybody wants it."
