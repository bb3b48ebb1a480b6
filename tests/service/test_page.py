"""The RSVP page: its HTML, and the whole flow in a real Chromium."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect

from harness.ticketing import create_event, create_ticket
from tests.service.running import PNG, connection_to, running
from tests.service.sockets import opened as watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page, Route

    from tests.service.running import Sale, Service

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


async def test_the_page_shows_what_there_is(service: Service) -> None:
    """Each ticket type with its price and what is left, names escaped."""
    async with connection_to(service.database) as connection:
        event = await create_event(connection, "<script>alert(1)</script>")
        await create_ticket(connection, event.id, 'A "quoted" <b>ticket</b>', 12, 3)
        await create_ticket(connection, event.id, "None left", 5, 0)
    page = await service.client.get("/rsvp", params={"event": event.id})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "A &#34;quoted&#34; &lt;b&gt;ticket&lt;/b&gt;" in page.text
    assert "12.00" in page.text
    assert "3 left" in page.text
    assert "Sold out" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "query", ["", "?event=", "?event=x", "?event=9007199254740991", f"?event={10**40}", "?event=²"]
)
async def test_no_such_event_is_a_page_too(service: Service, query: str) -> None:
    """A wrong link ends on a page for people, with 404."""
    page = await service.client.get(f"/rsvp{query}")
    assert page.status_code == 404
    assert "No such event" in page.text
    assert page.headers["content-type"].startswith("text/html")


@pytest_asyncio.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A real browser. Without one its tests are skipped, but never in CI."""
    path = shutil.which("chromium")
    if path is None and not os.environ.get("CI"):
        pytest.skip("no Chromium: install Debian's package chromium")
    assert path is not None, "CI must have Debian's package chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def opened(browser: Browser, sale: Sale, *, sockets: bool = True) -> AsyncIterator[Page]:
    """Open the sale's page in a window of its own, and fail on anything its console complains about.

    :param sockets: whether the page can have a WebSocket.
    """
    complaints: list[str] = []
    async with await browser.new_context() as context:
        page = await context.new_page()
        page.set_default_timeout(15_000)
        if not sockets:
            await page.route_web_socket("**", lambda socket: socket.close(code=1013))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{sale.service.url}/rsvp?event={sale.event}")
        yield page
    assert not complaints


async def fill(page: Page, *, name: str = "Ann", email: str = "ann@example.org") -> None:
    """Choose the ticket and say who is coming."""
    await page.get_by_role("radio", name="Ticket").check()
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Email").fill(email)


async def submit(page: Page) -> None:
    """Press the button."""
    await page.get_by_role("button", name="RSVP").click()


@pytest.mark.chromium
async def test_an_rsvp_with_a_payment_proof(chromium: Browser, sale: Sale, tmp_path: Path) -> None:
    """The proof is uploaded, the RSVP made with it, and the page says so and counts down."""
    proof = tmp_path / "proof.png"
    proof.write_bytes(PNG)
    async with opened(chromium, sale) as page:
        await fill(page)
        await page.get_by_label("Payment proof").set_input_files(proof)
        await submit(page)
        await expect(page.get_by_role("status")).to_contain_text("You are in, Ann!")
        await expect(page.get_by_text("9 left")).to_be_visible()
    assert await sale.sold() == 1
    address = await sale.service.fetchval(
        "SELECT payment_proof_url FROM rsvps WHERE ticket_id = $1", sale.ticket
    )
    assert (await sale.service.client.get(address)).content == PNG
    keys = "SELECT count(*) FROM idempotency_keys WHERE response #>> '{rsvp,ticketId}' = $1"
    assert await sale.service.fetchval(keys, sale.ticket) == 1


@pytest.mark.chromium
async def test_the_same_person_again(chromium: Browser, sale: Sale) -> None:
    """The same email address, in capitals too, has one RSVP."""
    async with opened(chromium, sale) as page:
        for email, said in (("ann@example.org", "You are in"), ("ANN@example.org", "already have an RSVP")):
            await fill(page, email=email)
            await submit(page)
            await expect(page.get_by_role("status")).to_contain_text(said)
    assert await sale.sold() == 1


@pytest.mark.chromium
async def test_sold_out_under_ones_eyes(chromium: Browser, service: Service) -> None:
    """Between looking and asking somebody else took the last one; the page says so and closes the choice."""
    single = await service.sale(1)
    async with opened(chromium, single) as page:
        await fill(page)
        await single.rsvp("bob")
        await submit(page)
        await expect(page.get_by_role("status")).to_contain_text("just sold out")
        await expect(page.get_by_role("radio", name="Ticket")).to_be_disabled()
        await expect(page.locator(".ticket-state")).to_have_text("Sold out")


@pytest.mark.chromium
async def test_what_others_buy_is_seen_without_a_reload(chromium: Browser, service: Service) -> None:
    """Two people look at one page; what one takes and gives back, the other sees change."""
    sale = await service.sale(2)
    async with opened(chromium, sale) as ann, opened(chromium, sale) as bob:
        await expect(ann.locator(".ticket-state")).to_have_text("2 left")
        await fill(bob, name="Bob", email="bob@example.org")
        await submit(bob)
        await expect(bob.get_by_role("status")).to_contain_text("You are in, Bob!")
        for page in (ann, bob):
            await expect(page.locator(".ticket-state")).to_have_text("1 left")
        rsvp = (await sale.rsvp("cem")).json()["rsvp"]["id"]
        for page in (ann, bob):
            await expect(page.locator(".ticket-state")).to_have_text("Sold out")
            await expect(page.get_by_role("radio", name="Ticket")).to_be_disabled()
        await service.client.delete(f"/api/rsvp/{rsvp}")
        await expect(ann.locator(".ticket-state")).to_have_text("1 left")
        await fill(ann)
        await submit(ann)
        await expect(ann.get_by_role("status")).to_contain_text("You are in, Ann!")
    assert await sale.sold() == 2


@pytest.mark.chromium
async def test_a_lost_socket_is_opened_again(chromium: Browser, own_database: str) -> None:
    """While the service is away the page stays; once it is back, the page shows what is true now."""
    async with contextlib.AsyncExitStack() as stack:
        async with running(own_database) as first:
            sale = await first.sale(3)
            page = await stack.enter_async_context(opened(chromium, sale))
            await sale.rsvp("bob")
            await expect(page.locator(".ticket-state")).to_have_text("2 left")
        async with running(own_database, port=first.address[1]) as second:
            await replace(sale, service=second).rsvp("cem")
            await expect(page.locator(".ticket-state")).to_have_text("1 left")


@pytest.mark.chromium
async def test_without_a_socket_the_page_does_as_before(chromium: Browser, service: Service) -> None:
    """Where sockets are blocked, numbers are read anew after each RSVP, and nothing complains."""
    sale = await service.sale(3)
    async with opened(chromium, sale, sockets=False) as page:
        await sale.rsvp("bob")
        await fill(page)
        await expect(page.locator(".ticket-state")).to_have_text("3 left")
        await submit(page)
        await expect(page.get_by_role("status")).to_contain_text("You are in, Ann!")
        await expect(page.locator(".ticket-state")).to_have_text("1 left")


@pytest.mark.chromium
async def test_a_sale_that_is_over_stays_closed(chromium: Browser, service: Service) -> None:
    """A ticket that comes back after the deadline is not offered."""
    sale = await service.sale(2)
    rsvp = (await sale.rsvp("bob")).json()["rsvp"]["id"]
    await service.fetchval(
        "UPDATE tickets SET purchase_deadline = now() - interval '1 hour' WHERE id = $1", sale.ticket
    )
    async with opened(chromium, sale) as page, watching(service, sale.event) as socket:
        await expect(page.locator(".ticket-state")).to_have_text("Sale closed")
        await service.client.delete(f"/api/rsvp/{rsvp}")
        await socket.until_available(2)
        await expect(page.locator(".ticket-state")).to_have_text("Sale closed")
        await expect(page.get_by_role("radio", name="Ticket")).to_be_disabled()


@pytest.mark.chromium
async def test_a_refused_proof_stops_everything(chromium: Browser, sale: Sale, tmp_path: Path) -> None:
    """A file that only calls itself an image is refused, and nothing was bought."""
    proof = tmp_path / "proof.png"
    proof.write_text("no image at all")
    async with opened(chromium, sale) as page:
        await fill(page)
        await page.get_by_label("Payment proof").set_input_files(proof)
        await submit(page)
        await expect(page.get_by_role("status")).to_contain_text("must be one of image/png")
    assert await sale.sold() == 0


@pytest.mark.chromium
async def test_what_is_missing_is_said_where_it_is_missing(chromium: Browser, sale: Sale) -> None:
    """The first field that needs something is focused, marked, and named."""
    async with opened(chromium, sale) as page:
        await page.get_by_role("radio", name="Ticket").check()
        await page.get_by_label("Name").fill("Ann")
        await page.get_by_label("Email").fill("no address")
        await submit(page)
        await expect(page.get_by_role("status")).to_contain_text("email address")
        await expect(page.get_by_label("Email")).to_be_focused()
        await expect(page.get_by_label("Email")).to_have_attribute("aria-invalid", "true")
    assert await sale.sold() == 0


@pytest.mark.chromium
async def test_a_lost_answer_is_asked_for_again_under_the_same_key(chromium: Browser, sale: Sale) -> None:
    """The answer is lost on the way; pressing the button again gets it, and one ticket is taken."""

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    async with opened(chromium, sale) as page:
        await page.route("**/api/rsvp", lose, times=1)
        await fill(page)
        await submit(page)
        await expect(page.get_by_role("status")).to_contain_text("try again")
        assert await sale.sold() == 1
        await submit(page)
        await expect(page.get_by_role("status")).to_contain_text("You are in, Ann!")
    assert await sale.sold() == 1


@pytest.mark.chromium
async def test_the_storys_script(chromium: Browser, sale: Sale) -> None:
    """The script in the story, run in a browser as it stands: as many successes as there were tickets."""
    async with opened(chromium, sale) as page:
        statuses = await page.evaluate(
            """async ([eventId, ticketId]) => {
              const promises = Array.from({length: 20}, (_, i) =>
                fetch('/api/rsvp', {
                  method: 'POST',
                  body: JSON.stringify({
                    eventId, ticketId, userId: `test-user-${i}`,
                    name: `Test User ${i}`, email: `test${i}@example.com`
                  })
                })
              );
              return (await Promise.all(promises)).map((response) => response.status);
            }""",
            [sale.event, sale.ticket],
        )
    assert sorted(statuses) == [201] * 10 + [409] * 10
    assert await sale.sold() == 10
