"""An authority that is a command: a script around openssl, and scripts that do something else."""

import asyncio
import os
from pathlib import Path

import pytest

from adapters.authorities.command import CommandAuthority
from adapters.authorities.config import AuthorityConfig
from core.crypto.bundles import read_bundle, write_pem
from core.crypto.issuance import check_issued
from core.errors import Reason, Refusal
from tests.authorities.elsewhere import asked, now, openssl_authority, script
from tests.core.openssl import request, verify
from tests.exchange.stand_in import RememberingMeter


def authority(
    command: tuple[str, ...], certificate: bytes, meter: RememberingMeter | None = None, **bounds: object
) -> CommandAuthority:
    config = AuthorityConfig(**bounds)  # type: ignore[arg-type] # a table of bounds
    return CommandAuthority(command, read_bundle(certificate), config, meter or RememberingMeter())


async def refused(authority: CommandAuthority, content: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await authority.sign(asked(content))
    return caught.value


async def test_a_script_around_openssl_signs(tmp_path: Path) -> None:
    certificate = openssl_authority(tmp_path)
    command = authority(script(tmp_path), certificate)
    wanted = asked(request(tmp_path, "p256", "someone else"), "a 'name' $(touch x)")
    chain = await command.sign(wanted)
    assert check_issued(chain, command.authorities, wanted, now()).serial == f"{wanted.serial:x}"
    (tmp_path / "ca2.pem").write_bytes(certificate)
    verify(tmp_path, write_pem(chain[:1]), certificate.decode(), now())
    assert not (tmp_path / "x").exists()


async def test_it_sees_nothing_of_the_gateways_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTLIGHT_SOMETHING", "hidden")
    certificate = openssl_authority(tmp_path)
    command = authority(script(tmp_path, '#!/bin/sh\nenv > "$0.env"; exit 1\n'), certificate)
    await refused(command, request(tmp_path))
    seen = (tmp_path / "sign.sh.env").read_text()
    assert "FIRSTLIGHT_SOMETHING" not in seen
    assert "CERTIFICATE_DEVICE=d-1\n" in seen
    assert "CERTIFICATE_DAYS=2\n" in seen  # it begins a minute ago
    assert "PATH=" in seen


@pytest.mark.parametrize(
    ("text", "bounds", "check", "hit"),
    [
        ("echo no >&2; exit 3", {}, "issuing.authority", []),
        ("cat > /dev/null; echo nothing", {}, "issuing.answer", []),
        ("cat ca.pem", {}, "issuing.answer", []),
        ("exec 0<&-; exit 0", {}, "issuing.answer", []),
        ("yes", {"answer_bytes": 1_000_000}, "issuing.authority", ["authority.answer_bytes"]),
        ("yes no >&2 & exec sleep 60", {"seconds": 0.3}, "issuing.authority", ["authority.seconds"]),
        ("(sleep 60) & exit 0", {"seconds": 0.3}, "issuing.authority", ["authority.seconds"]),
    ],
)
async def test_a_script_that_does_something_else_is_refused(
    tmp_path: Path, text: str, bounds: dict[str, object], check: str, hit: list[str]
) -> None:
    meter = RememberingMeter()
    path = script(tmp_path, f'#!/bin/sh\necho $$ > "$0.pid"\n{text}\n')
    command = authority(path, openssl_authority(tmp_path), meter, **bounds)
    refusal = await refused(command, request(tmp_path))
    assert (refusal.reason, refusal.check, meter.bounds) == (Reason.UNAVAILABLE, check, hit)
    assert refusal.retry_after
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "sign.sh.pid").read_text()), 0)


async def test_a_command_that_is_not_there_is_refused(tmp_path: Path) -> None:
    command = authority((str(tmp_path / "nothing"),), openssl_authority(tmp_path))
    assert (await refused(command, request(tmp_path))).check == "issuing.authority"


async def test_whoever_waits_no_more_leaves_no_process(tmp_path: Path) -> None:
    text = '#!/bin/sh\necho $$ > "$0.pid.partial"; mv "$0.pid.partial" "$0.pid"; exec sleep 60\n'
    command = authority(script(tmp_path, text), openssl_authority(tmp_path), at_once=1)
    content = request(tmp_path)
    signing = asyncio.create_task(command.sign(asked(content)))
    pid = tmp_path / "sign.sh.pid"
    async with asyncio.timeout(20):
        while not pid.exists():  # noqa: ASYNC110 - what is waited for is a file of another process
            await asyncio.sleep(0.01)
    assert (await refused(command, content)).check == "issuing.busy"
    signing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await signing
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
