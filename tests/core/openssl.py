"""The openssl of the machine, as the other end: it makes keys and requests, and checks what was made here."""

import subprocess
from pathlib import Path
from typing import Final

KEYS: Final = {
    "p256": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "p384": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "p521": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"),
    "rsa1024": ("-newkey", "rsa:1024"),
    "rsa2048": ("-newkey", "rsa:2048"),
    "ed25519": ("-newkey", "ed25519"),
    "ed448": ("-newkey", "ed448"),
}


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    """Run openssl and return what it wrote. Raises `AssertionError` with what it said where it failed."""
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, (arguments, done.stderr.decode(), done.stdout.decode())
    return done.stdout


def request(folder: Path, kind: str = "p256", name: str = "whatever", *more: str, form: str = "PEM") -> bytes:
    """Make a key, `device.key` in the folder, and a request for it."""
    key = folder / "device.key"
    arguments = ("req", "-new", "-nodes", "-keyout", str(key), "-subj", f"/CN={name}", "-outform", form)
    return openssl(*arguments, *KEYS[kind], *more)


def public_key(folder: Path) -> bytes:
    """Return the public key of the last request, as DER."""
    return openssl("pkey", "-in", str(folder / "device.key"), "-pubout", "-outform", "DER")


def verify(folder: Path, certificate: str, authority: str, at: int, *more: str) -> bytes:
    """Check a certificate as a TLS server would, all in PEM; `at` in milliseconds since the Unix epoch."""
    (folder / "leaf.pem").write_text(certificate)
    (folder / "ca.pem").write_text(authority)
    checks = ("-purpose", "sslclient", "-x509_strict", "-attime", str(at // 1000), "-CAfile", str(folder / "ca.pem"))
    return openssl("verify", *checks, *more, str(folder / "leaf.pem"))
