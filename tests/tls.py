"""A certificate of a test's own, for servers that must prove their name."""

import shutil
import ssl
import subprocess
from pathlib import Path

from tests.needs import give_up_without


def make_certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for a name that signs itself; give its file and what a server needs to show it."""
    if shutil.which("openssl") is None:
        give_up_without("the program openssl", "it makes the certificate; install openssl")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context
