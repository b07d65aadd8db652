"""Reads the gateway's settings out of an example, as the gateway itself would."""

import datetime
import json
import re
from collections.abc import Mapping
from pathlib import Path

from adapters.config import Config, from_environment
from adapters.tls.founding import found
from tests.deploy.units import ROOT
from tests.e2e.gateways import ADMIN_TOKEN, MASTER_KEY

SECRETS = {
    "FIRSTLIGHT_MASTER_KEY_FILE": MASTER_KEY,
    "FIRSTLIGHT_ADMIN_TOKEN_FILE": ADMIN_TOKEN,
    "FIRSTLIGHT_DATABASE_FILE": "postgresql://firstlight:secret@database/firstlight",
    "FIRSTLIGHT_BROKER_PASSWORD_FILE": "secret",
}


class Dockerfile:
    """The image's instructions, each with all of its lines."""

    def __init__(self) -> None:
        text = re.sub(r"\\\n\s*", "", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"))
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        self.instructions = [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]

    def all(self, name: str) -> list[str]:
        """Return what stands behind every instruction of this name."""
        return [rest for each, rest in self.instructions if each == name]

    def environment(self) -> dict[str, str]:
        """Return the variables of the finished image."""
        return dict(pair.split("=", 1) for pair in self.all("ENV")[-1].split())

    def health_check(self, port: int) -> list[str]:
        """Return the command of the health check, for this interpreter and a gateway at another port."""
        command = json.loads(self.all("HEALTHCHECK")[0].partition(" CMD ")[2])
        assert isinstance(command, list)
        return [word.replace("8080", str(port)) for word in command]


def read(given: Mapping[str, str], folder: Path) -> Config:
    """Read the settings of an example, with files in `folder` in place of those that it names."""
    environ = {name: value for name, value in given.items() if name.startswith("FIRSTLIGHT_")}
    for name in SECRETS.keys() & environ.keys():
        environ[name] = _file(folder / name, SECRETS[name].encode())
    if "FIRSTLIGHT_TLS_CERT" in environ:
        pair = found(["localhost"], 1, datetime.datetime.now(datetime.UTC))
        environ["FIRSTLIGHT_TLS_CERT"] = _file(folder / "server.pem", pair.certificate)
        environ["FIRSTLIGHT_TLS_KEY"] = _file(folder / "server-key.pem", pair.key.reveal().encode())
    return from_files(environ)


def from_files(given: Mapping[str, str]) -> Config:
    """Read settings whose files are there, and which all have to be known and of use."""
    config = from_environment(dict(given))
    assert [each for each in config.warnings if "is not a setting" in each] == []
    assert [each for each in config.warnings if "does nothing" in each] == []
    return config


def _file(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)
