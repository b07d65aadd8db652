"""Where the operator's broker is, and how it is checked whether that is the one."""

import ssl
from pathlib import Path

import msgspec


class BrokerAddress(msgspec.Struct, frozen=True):
    """Where a broker is, the user name to log in with there, which may be empty, and whether TLS is spoken (`mqtts://`)."""

    host: str
    port: int
    username: str = ""
    secure: bool = False

    def __str__(self) -> str:
        place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        scheme = "mqtts" if self.secure else "mqtt"
        return f"{scheme}://{self.username}@{place}" if self.username else f"{scheme}://{place}"


def client_context(address: BrokerAddress | None, authorities: Path | None) -> ssl.SSLContext | None:
    """Return how a broker's certificate is checked, by these authorities or those of the system; None where TLS is not spoken.

    Raises `ValueError` with the fault and the mend where the file cannot be used.
    """
    if address is None or not address.secure:
        return None
    try:
        context = ssl.create_default_context(cafile=authorities)
    except ssl.SSLError as error:
        mend = "give a file with the broker's authority as a -----BEGIN CERTIFICATE----- part"
        raise ValueError(f"{authorities} holds no certificate that can be read; {mend}") from error
    except OSError as error:
        raise ValueError(f"cannot read {authorities}: {error.strerror or error}; give the path of a PEM file") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
