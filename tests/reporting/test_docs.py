from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.content import content
from harness.reporting import REPORTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "reports.md"
BEGIN, END = "<!-- fields -->\n", "<!-- end of fields -->\n"


def test_the_field_table_is_the_schema() -> None:
    """The page describes every field of verdict.json in the schema's own words.

    After a change of the schema, the table to put into the page is in the failure's message.
    """
    schema = json.loads((content("reports") / "verdict.schema.json").read_text("utf-8"))
    table = "| field | type | meaning |\n|---|---|---|\n" + "".join(_rows(schema, schema, ""))
    page = PAGE.read_text("utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0] == table, table


def test_every_reporter_and_artifact_is_on_the_page() -> None:
    """Each file that a reporter's documentation names first is in the page's table."""
    page = PAGE.read_text("utf-8")
    for name in REPORTERS.entries:
        doc = __import__(f"harness.reporting.reporters.{name}", fromlist=[name]).__doc__ or ""
        file = doc.split("``")[1] if doc.startswith("``") else "(standard error)"
        assert file.replace("…json", "….json") in page, name


def _rows(schema: dict[str, Any], part: dict[str, Any], path: str) -> Iterator[str]:
    for name, field in part["properties"].items():
        yield f"| `{path}{name}` | {_type(field)} | {field['description']} |\n"
        reference = field.get("items", {}).get("$ref")
        if reference:
            yield from _rows(schema, schema["$defs"][reference.rpartition("/")[2]], f"{path}{name}[].")


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return "string"
    kind = field["type"]
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
