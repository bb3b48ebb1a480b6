"""Payment proofs: what is taken, what is not, and that a failed upload leaves nothing behind."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from harness.service.proofs import PROOF_LIMIT
from tests.service.running import JPEG, PDF, PNG, until

if TYPE_CHECKING:
    import httpx

    from tests.service.running import Sale, Service


async def upload(service: Service, content: bytes, media_type: str, field: str = "file") -> httpx.Response:
    """Upload one file."""
    return await service.client.post("/api/payment-proofs", files={field: ("proof", content, media_type)})


async def stored(service: Service) -> int:
    """Count the proofs in the database."""
    return int(await service.fetchval("SELECT count(*) FROM payment_proofs"))


@pytest.mark.parametrize(
    ("content", "media_type"), [(PNG, "image/png"), (JPEG, "image/jpeg"), (PDF, "application/pdf")]
)
async def test_a_proof_comes_back_as_it_was(sale: Sale, content: bytes, media_type: str) -> None:
    """Uploaded, used in an RSVP, and served under its own type and no other."""
    uploaded = await upload(sale.service, content, media_type)
    assert uploaded.status_code == 201
    address = uploaded.json()["paymentProofUrl"]
    response = await sale.rsvp(paymentProofUrl=address)
    assert response.json()["rsvp"]["paymentProofUrl"] == address
    served = await sale.service.client.get(address)
    assert served.content == content
    assert served.headers["content-type"] == media_type
    assert served.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"<html><script>alert(1)</script>", "image/png"),
        (PNG, "image/jpeg"),
        (PNG, "text/html"),
        (b" " + PDF, "application/pdf"),
    ],
)
async def test_another_kind_of_file_is_refused(service: Service, content: bytes, media_type: str) -> None:
    """Header and first bytes must name the same one of three types."""
    before = await stored(service)
    response = await upload(service, content, media_type)
    assert (response.status_code, response.json()["error"]) == (415, "unsupported_media_type")
    assert await stored(service) == before


async def test_the_limit_is_exact(service: Service) -> None:
    """5 MiB are taken, one byte more is not."""
    largest = PNG + bytes(PROOF_LIMIT - len(PNG))
    assert (await upload(service, largest, "image/png")).status_code == 201
    response = await upload(service, largest + b"x", "image/png")
    assert (response.status_code, response.json()["error"]) == (413, "too_large")


async def test_far_too_much_is_refused_unread(service: Service) -> None:
    """A body that announces more than any proof can have is refused by its length."""
    response = await upload(service, PNG + bytes(2 * PROOF_LIMIT), "image/png")
    assert (response.status_code, response.json()["error"]) == (413, "too_large")


async def test_a_form_without_the_file(service: Service) -> None:
    """Another field name, or a text in its place, is a malformed request."""
    assert (await upload(service, PNG, "image/png", field="other")).status_code == 400
    text = await service.client.post("/api/payment-proofs", files={"file": (None, "text")})
    assert (text.status_code, text.json()["error"]) == (400, "invalid")


async def test_an_upload_that_is_no_form(service: Service) -> None:
    """415 for the bare file, 400 for a form that cannot be read."""
    headers = {"Content-Type": "image/png"}
    assert (await service.client.post("/api/payment-proofs", content=PNG, headers=headers)).status_code == 415
    for media_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        broken = await service.client.post(
            "/api/payment-proofs", content=b"--x\r\nnonsense", headers={"Content-Type": media_type}
        )
        assert (broken.status_code, broken.json()["error"]) == (400, "invalid")


async def test_a_cut_upload_leaves_nothing(sale: Sale) -> None:
    """The connection breaks half-way: no proof, no RSVP, no ticket taken, and the service goes on."""
    before = await stored(sale.service)
    head = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="p.png"\r\n'
        b"Content-Type: image/png\r\n\r\n"
    )
    with socket.create_connection(sale.service.address) as raw:
        raw.sendall(
            b"POST /api/payment-proofs HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + head + PNG
        )
    await until(lambda: healthy(sale.service))
    assert await stored(sale.service) == before
    assert await sale.sold() == 0


async def healthy(service: Service) -> bool:
    """Say whether the service is well."""
    return (await service.client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("ours", ["/api/payment-proofs/{}", "https://{host}/api/payment-proofs/{}"])
async def test_a_proof_that_is_not_there_is_refused_before_anything_is_taken(sale: Sale, ours: str) -> None:
    """Under our own address a proof must exist, whichever way the address is written."""
    host = "{}:{}".format(*sale.service.address)
    response = await sale.rsvp(paymentProofUrl=ours.format(uuid4(), host=host))
    assert (response.status_code, response.json()["error"]) == (400, "unknown_payment_proof")
    assert await sale.sold() == 0


async def test_what_is_no_proof_of_ours_at_our_address(sale: Sale) -> None:
    """A name that no proof can have is refused like one that no proof has."""
    host = "{}:{}".format(*sale.service.address)
    response = await sale.rsvp(paymentProofUrl=f"https://{host}/api/payment-proofs/latest")
    assert (response.status_code, response.json()["error"]) == (400, "unknown_payment_proof")


async def test_a_proof_kept_elsewhere_is_taken_as_given(sale: Sale) -> None:
    """Other https addresses are not looked at, only stored."""
    address = f"https://files.example.org/api/payment-proofs/{uuid4()}?signature=abc"
    response = await sale.rsvp(paymentProofUrl=address)
    assert response.json()["rsvp"]["paymentProofUrl"] == address


async def test_reading_a_proof_that_is_not_there(service: Service) -> None:
    """404 for an unknown id, 400 for what is no id."""
    assert (await service.client.get(f"/api/payment-proofs/{uuid4()}")).status_code == 404
    assert (await service.client.get("/api/payment-proofs/7")).status_code == 400
