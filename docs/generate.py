"""Writes the reference pages that are made from the code, so that they cannot go stale.

``python docs/generate.py`` writes every page of :data:`PAGES` anew. A test fails while one differs from what
the code says. To add a page, write a function that returns its text and add it to :data:`PAGES`.

The interleavings on the page of the specimens are taken from real runs, which need a Postgres and some
minutes; they are kept in ``interleavings.json``. Who adds a wrong specimen, or changes one, takes its own:
``python docs/generate.py --interleavings --only NAME`` (without ``--only``: all of them).
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.content import content
from harness.driving.scenarios import load_scenarios
from harness.laws import LAWS
from harness.load.behaviour import BEHAVIOURS, ONLY_BY_NAME
from harness.reporting.markdown import escape
from harness.specimens import SPECIMENS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Protocol

    from harness.driving.scenarios import ScenarioFile
    from harness.specimens import Specimen

    class Entry(Protocol):
        """Whatever is documented under a name of its own."""

        @property
        def name(self) -> str:
            """What a person types."""

        @property
        def title(self) -> str:
            """The first line of its page."""

        @property
        def doc(self) -> str:
            """Its page."""


FOLDER = Path(__file__).parent
INTERLEAVINGS = FOLDER / "interleavings.json"
NOTE = "<!-- Made from the code by docs/generate.py; change it there. -->"


def laws() -> str:
    """Return the page of the laws: a table of all, then each one's own words."""
    every = LAWS.entries.values()
    intro = (
        "A law is a promise that a ticketing system must keep, judged on what a run left behind: the history "
        "of operations with their answers, the committed states seen on the way, and the books at the end. A "
        "law that cannot be judged on some evidence is listed as *not judged*, with the reason. Choose laws "
        "with `--law NAME`."
    )
    table = _table(("law", "what it promises"), ((_link(law), law.title) for law in every))
    return _page("Laws", intro, table, *(section for law in every for section in _section(law)))


def shipped_scenarios() -> str:
    """Return the page of the scenarios that come with the harness."""
    every = load_scenarios([content("scenarios")]).values()
    intro = (
        "The scenarios that come with the harness. Choose some with `--scenario NAME`; "
        "[scenarios.md](scenarios.md) says how to write one. The crowd is what a burst takes."
    )
    table = _table(
        ("scenario", "crowd", "needs", "what happens"),
        ((_link(file), str(file.buyers), _needs(file), file.title) for file in every),
    )
    return _page("Shipped scenarios", intro, table, *(part for file in every for part in _section(file)))


def specimens() -> str:
    """Return the page of the specimens."""
    every = SPECIMENS.entries.values()
    intro = (
        "Implementations known to be right or known to be wrong. The harness is tested on them, and they "
        "show what a mistake looks like: `oversell check --target specimen:NAME`. Below each wrong one "
        "stands the shortest interleaving that shows its mistake, a column for each client and a row for "
        "each step: found, made small and run by `explore` in the scenario that it claims. A statement is "
        "executed where it stands, and what it did is committed where it says so."
    )
    table = _table(
        ("specimen", "verdict", "breaks", "shown by"), ((_link(each), *_mistake(each)) for each in every)
    )
    shown = json.loads(INTERLEAVINGS.read_text("utf-8"))
    return _page(
        "Specimens", intro, table, *(part for each in every for part in _specimen(each, shown.get(each.name)))
    )


def behaviours() -> str:
    """Return the page of what buyers of a swarm do."""
    every = BEHAVIOURS.entries.values()
    intro = (
        "What the buyers of a swarm do on each visit, over and over, each time as somebody new. Without "
        "`--behaviour` buyers do everything that fits the scenario and that the target supports, each as "
        "often; with `--behaviour NAME=WEIGHT`, which can be repeated, what is named and nothing else. "
        "[swarm.md](swarm.md) says the rest."
    )
    table = _table(
        ("behaviour", "fits scenarios that need", "the target must support", "what buyers do"),
        (
            (
                f"[`{each.name}`](#{each.name})",
                "only by name" if each.fits == ONLY_BY_NAME else ", ".join(sorted(each.fits)),
                ", ".join(sorted(each.needs)),
                _first_sentence(each.doc),
            )
            for each in every
        ),
    )
    sections = ((f"## {each.name}", inspect.cleandoc(each.doc)) for each in every)
    return _page("Behaviours", intro, table, *(part for section in sections for part in section))


PAGES: Mapping[str, Callable[[], str]] = {
    "behaviours.md": behaviours,
    "laws.md": laws,
    "shipped-scenarios.md": shipped_scenarios,
    "specimens.md": specimens,
}
"""Every generated page: its file, and what makes its text."""


def _needs(file: ScenarioFile) -> str:
    return ", ".join(sorted(file.build().needs))


def _mistake(specimen: Specimen) -> tuple[str, str, str]:
    if specimen.mistake is None:
        return "safe", "", ""
    laws_broken = ", ".join(f"[`{law}`](laws.md#{law})" for law in sorted(specimen.mistake.laws))
    scenario, engine = specimen.mistake.scenario, specimen.mistake.engine
    return "violated", laws_broken, f"[`{scenario}`](shipped-scenarios.md#{scenario}) under `{engine}`"


def _specimen(specimen: Specimen, shown: Mapping[str, Any] | None) -> tuple[str, ...]:
    if specimen.mistake is None:
        return _section(specimen)
    return (
        *_section(specimen),
        f"Known from: {specimen.mistake.source}.",
        *(_interleaving(shown) if shown else ()),
    )


def _interleaving(shown: Mapping[str, Any]) -> Iterable[str]:
    """Yield the paragraphs about an interleaving, or about why there is none."""
    if "not_shown" in shown:
        sentence: str = shown["not_shown"]
        yield f"{sentence[0].upper()}{sentence[1:]}"
        return
    yield f"The shortest interleaving in `{shown['scenario']}` that breaks `{shown['law']}`:"
    if shown["before"]:
        yield f"Before, one after another: {'; '.join(map(escape, shown['before']))}."
    clients = shown["clients"]
    steps = ((str(number), *_lanes(step, clients)) for number, step in enumerate(shown["steps"], start=1))
    told = ("", *(escape(shown["told"].get(client, "")) for client in clients))
    yield _table(("", *map(escape, clients)), (*steps, told))
    if shown["after"]:
        yield f"After it, one after another: {'; '.join(map(escape, shown['after']))}."


def _lanes(step: Mapping[str, Any], clients: Sequence[str]) -> Iterable[str]:
    """Yield the cells of one step: all are empty but the one of its client."""
    statement = step["what"].replace("|", "\\|")
    what = f"`{statement}`" if step["sql"] else escape(step["what"])
    said = "<br>".join((what, *map(escape, step["notes"])))
    return (said if client == step["client"] else "" for client in clients)


def _first_sentence(doc: str) -> str:
    return doc.strip().partition("\n")[0].partition(". ")[0].rstrip(".") + "."


def _link(entry: Entry) -> str:
    return f"[`{entry.name}`](#{entry.name})"


def _section(entry: Entry) -> tuple[str, str]:
    return f"## {entry.name}", inspect.cleandoc(entry.doc)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _page(title: str, *parts: str) -> str:
    return "\n\n".join((NOTE, f"# {title}", *parts)) + "\n"


def main() -> None:
    """Write every page, and take interleavings before if asked to."""
    parser = argparse.ArgumentParser(description="Write the reference pages.")
    parser.add_argument("--interleavings", action="store_true", help="take them anew first; needs a Postgres")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="of this specimen only")
    chosen = parser.parse_args()
    if chosen.interleavings:
        sys.path.insert(0, str(FOLDER.parent))
        from docs.interleavings import write

        write(chosen.only)
    for name, text in PAGES.items():
        (FOLDER / name).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
