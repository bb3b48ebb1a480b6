"""The live books on Locust's own page, seen with a real Chromium."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import async_playwright, expect

from harness.load.messages import Live, Stats, Stop
from tests.locusts.engine import auditing, is_complete
from tests.locusts.running import free_port, locust

if TYPE_CHECKING:
    from pathlib import Path

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
EVIL = "<img src=x onerror=document.title='owned'>"
LIVE = Live(
    {"general": {"initial": 30, "sold": 25, "held": 2, "remaining": 4}, EVIL: {"initial": 1, "sold": 1}},
    {"commits audited": 1234, "lag (s)": 0.02},
    f"no_oversell: {EVIL}",
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where a real browser is. Without one its tests are skipped, but never in CI."""
    path = shutil.which("chromium")
    if path is None and not os.environ.get("CI"):
        pytest.skip("no Chromium: install Debian's package chromium")
    assert path is not None, "CI must have Debian's package chromium"
    return path


@pytest.mark.chromium
async def test_the_books_are_seen_on_locusts_page(tmp_path: Path, chromium: str) -> None:
    """Two tabs beside Locust's own, with the numbers of the engine as text; and the run ends as always."""
    port = free_port()
    web = ("--autostart", "-u", "2", "-r", "2", "--web-host", "127.0.0.1", "--web-port", str(port))
    async with (
        auditing() as (shop, engine),
        locust(tmp_path / "log", *web, "--host", shop.url, link=engine.address) as process,
        async_playwright() as playwright,
    ):
        await engine.until_recorded(20)
        engine.say(LIVE)
        await engine.until(Stats, len(engine.of(Stats)) + 2)
        told = await asyncio.to_thread(_get, f"http://127.0.0.1:{port}/oversell/live")
        assert told == {"tickets": LIVE.tickets, "numbers": LIVE.numbers, "note": LIVE.note}
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = await browser.new_page()
        page.set_default_timeout(20_000)
        await page.goto(f"http://127.0.0.1:{port}/")
        await page.get_by_role("tab", name="Books").click()
        row = page.get_by_role("row").filter(has_text="general")
        await expect(row.get_by_role("cell")).to_have_text(["general", "30", "25", "2", "4", "1"])
        await expect(page.get_by_role("cell", name=EVIL)).to_be_visible()
        await page.get_by_role("tab", name="Audit").click()
        await expect(page.get_by_role("row").filter(has_text="commits audited")).to_contain_text("1234")
        await expect(page.get_by_text(LIVE.note)).to_be_visible()
        assert await page.title() != "owned"
        await browser.close()
        engine.say(Stop("seen enough"))
        assert await process.ends() == 0
        await engine.until_closed()
        assert is_complete(engine)


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  # an address of our own
        return json.load(answer)
