"""A self-made certificate, for clients that insist on encryption and do not check who answers."""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from pathlib import Path

from harness.errors import UsageError


def self_made_context(timeout: float = 30) -> ssl.SSLContext:
    """Return a server context with a fresh certificate for this machine, made by the ``openssl`` command.

    Key and certificate are on disk only until they are loaded.

    :raises UsageError: when there is no ``openssl`` command or it fails.
    """
    with tempfile.TemporaryDirectory(prefix="oversell-tls-") as folder:
        key, certificate = Path(folder, "key.pem"), Path(folder, "certificate.pem")
        command = [
            "openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout", str(key), "-out", str(certificate),
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=timeout)
        except (OSError, subprocess.SubprocessError) as error:
            raise UsageError(
                "TLS for the application needs a certificate, and the openssl command did not make one "
                f"({type(error).__name__}): install openssl, or connect with sslmode=disable."
            ) from error
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["postgresql"])
        return context
