"""What `serve --demo` shows a newcomer: a profile to provision against, and one command for each protocol to paste."""

import shlex
import shutil
import sys
from pathlib import Path

import msgspec

from adapters.config import Config
from adapters.keys import ADMIN_TOKEN_FILE
from adapters.settings import Address
from core.attestation import secret_row
from core.crypto.tokens import new_id
from core.issuer import Issuer
from core.model import DEFAULT_TENANT, Profile, ProfileId, Reprovision, Secret, Strategy
from core.operate.values import draw_claim_text
from core.ports import Changes, Repository
from core.queries import ProfilePage, ProfileQuery

PROFILE = "demo"
COAP_CLIENTS = ("coap-client", "coap-client-notls", "coap-client-openssl", "coap-client-gnutls")


class Reach(msgspec.Struct, frozen=True):
    """Where a newcomer's commands go; None where a protocol is switched off."""

    http: Address | None
    coap: Address | None
    mqtt: Address | None


async def ensure_profile(repository: Repository, issuer: Issuer) -> tuple[Profile, Secret] | None:
    """Return the demo profile and its secret, made on an empty registry; None where an operator has made other profiles."""
    profile = await repository.read(ProfileQuery(DEFAULT_TENANT, PROFILE))
    if profile is not None:
        return profile, issuer.vault.open(profile.provision_secret, secret_row(profile.id))
    if await repository.read(ProfilePage(DEFAULT_TENANT, limit=1)):
        return None
    return await _make_profile(repository, issuer)


async def _make_profile(repository: Repository, issuer: Issuer) -> tuple[Profile, Secret]:
    now = issuer.clock.now()
    identity = ProfileId(new_id(now, issuer.entropy))
    secret = Secret(draw_claim_text(issuer.entropy))
    profile = Profile(
        id=identity,
        tenant=DEFAULT_TENANT,
        name=PROFILE,
        strategy=Strategy.CREATE_NEW,
        reprovision=Reprovision.SAME,  # whoever pastes a command twice sees the same device again
        provision_key=draw_claim_text(issuer.entropy),
        provision_secret=issuer.vault.seal(secret, secret_row(identity)),
        created_at=now,
        updated_at=now,
    )
    await repository.commit(Changes(insert=(profile,)))
    return profile, secret


def text(claim: tuple[Profile, Secret] | None, reach: Reach, config: Config) -> str:
    """Return what is printed."""
    token = "FIRSTLIGHT_ADMIN_TOKEN" if config.admin_token else str(config.data / ADMIN_TOKEN_FILE)
    lines = ["", "Firstlight is running. Ctrl-C stops it."]
    if claim is None:
        lines.append("This registry has profiles of its own, so no demo profile was made: firstlight profile list")
    else:
        lines += ["Paste one of these into another terminal, in this directory, to provision a device:", ""]
        lines += _commands(*claim, reach)
    lines += [
        f"The admin token is in {token}; the operator's commands find it there: {_program()} device list",
        "What to read next: README.md",
        "",
    ]
    return "\n".join(lines)


def _commands(profile: Profile, secret: Secret, reach: Reach) -> list[str]:
    lines = []
    for protocol, address in (("http", reach.http), ("coap", reach.coap), ("mqtt", reach.mqtt)):
        if address is None:
            continue
        body = msgspec.json.encode(
            {
                "deviceName": f"demo-{protocol}",
                "provisionDeviceKey": profile.provision_key,
                "provisionDeviceSecret": secret.reveal(),
            }
        ).decode()
        enroll = (
            f"{_program()} enroll thingsboard --over {protocol} --host {address.host} --port {address.port}"
            f" --name demo-{protocol}-2 --key {profile.provision_key} --secret {secret.reveal()}"
        )
        lines += [f"# {protocol.upper()}", _VENDORS[protocol](address, shlex.quote(body)), enroll, ""]
    return lines


def _curl(address: Address, body: str) -> str:
    return f"curl -sS -w '\\n' http://{address}/api/v1/provision -d {body}"


def _coap_client(address: Address, body: str) -> str:
    # Debian names the program after the TLS library it was built with.
    program = next(filter(shutil.which, COAP_CLIENTS), COAP_CLIENTS[0])
    return f"{program} -m post -e {body} coap://{address}/api/v1/provision"


def _mosquitto_rr(address: Address, body: str) -> str:
    return (
        f"mosquitto_rr -h {address.host} -p {address.port} -u provision -q 1"
        f" -t /provision/request -e /provision/response -W 5 -m {body}"
    )


_VENDORS = {"http": _curl, "coap": _coap_client, "mqtt": _mosquitto_rr}


def _program() -> str:
    """Return this program as it can be typed here: by its path below this directory, or by its name."""
    path = Path(sys.argv[0])
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path) if path.is_absolute() else "firstlight"
