"""Where the operator's broker is."""

import msgspec


class BrokerAddress(msgspec.Struct, frozen=True):
    """Where a broker is, and the user name to log in with there, which may be empty."""

    host: str
    port: int
    username: str = ""

    def __str__(self) -> str:
        place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return f"mqtt://{self.username}@{place}" if self.username else f"mqtt://{place}"
