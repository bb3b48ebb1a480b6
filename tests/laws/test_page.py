"""The reference pages say what the code says."""

from __future__ import annotations

import pytest

from docs.generate import FOLDER, PAGES, laws
from harness.laws import LAWS


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    """Whoever changes a docstring runs docs/generate.py; this says so when they forget."""
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), f"docs/{name} is stale: run python docs/generate.py"


def test_the_page_of_laws_has_every_law_in_its_own_words() -> None:
    """The docstring of a law is its documentation, whole."""
    page = laws()
    for law in LAWS.entries.values():
        assert f"| [`{law.name}`](#{law.name}) | {law.title} |" in page
        assert f"## {law.name}\n\n{law.doc.strip()}\n" in page
