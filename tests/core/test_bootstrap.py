"""A device fetches its configuration, plain and encrypted, and what it is refused."""

from typing import Any

import msgspec
import pytest

from core.configuration import Seals
from core.crypto import cfb
from core.crypto.cfb import Envelope
from core.crypto.vault import Vault
from core.errors import Conflict, Guard, Reason
from core.limits import Rate
from core.lockout import Lockout
from core.messages import ANY_ETAG, BootstrapRequest, ClientCertificates, EncryptedKey, Identity, PlainKey
from core.model import DEFAULT_TENANT, DeviceState, EventKind, Sealed, Secret
from core.operate.configuring import ChangeChannel, ChangeConfig, DeleteChannel
from core.operate.messages import ChangeDevice, RevokeCredentials, RotateCredentials, ShowDevice
from core.ports import Changes, Delete
from core.queries import ExternalKeyQuery, Query, S, UnknownPage
from tests.operating import ContendedRepository, Desk

KEY = PlainKey(Secret("external key"))
CERTIFICATES = ClientCertificates("cert", Secret("key"), "ca")


def plain(external_id: str = "aa:bb", key: str = "external key", **fields: Any) -> BootstrapRequest:
    return BootstrapRequest(external_id=external_id, proof=PlainKey(Secret(key)), **fields)


def encrypted(desk: Desk, key: str = "external key", external_id: str = "aa:bb", iv: bytes = bytes(16)) -> BootstrapRequest:
    message = Envelope(desk.shared_key or b"", iv).close(key.encode())
    return BootstrapRequest(external_id=external_id, proof=EncryptedKey(message.hex()))


async def test_a_device_gets_everything_in_the_order_it_was_given() -> None:
    desk = Desk()
    channels = await desk.channels("data", "control")
    made = await desk.config(channels=channels[::-1], content='{"log":"debug"}', certificates=CERTIFICATES)
    got = await desk.bootstrap(plain())
    assert (got.config, got.content, got.certificates) == (made.config, '{"log":"debug"}', CERTIFICATES)
    assert [channel.name for channel in got.channels] == ["control", "data"]
    assert got.secret == made.secret
    assert (got.unchanged, got.envelope) == (False, None)
    assert len(bytes.fromhex(got.etag)) == 8


async def test_what_was_given_is_recorded_and_the_first_time_provisions_the_device() -> None:
    desk = Desk()
    made = await desk.config()
    assert made.device.state is DeviceState.DEFINED
    await desk.bootstrap(plain())
    await desk.bootstrap(plain())
    assert (await desk(ShowDevice(made.device.id))).state is DeviceState.PROVISIONED
    events = await desk.events(EventKind.BOOTSTRAP_SUCCEEDED)
    assert [(event.device, event.device_name, event.detail) for event in events] == [(made.device.id, "aa:bb", "version 1")] * 2


async def test_who_has_it_already_is_told_so_and_nothing_is_recorded() -> None:
    desk = Desk()
    await desk.config()
    got = await desk.bootstrap(plain())
    again = await desk.bootstrap(plain(held=("0000000000000000", got.etag)))
    anything = await desk.bootstrap(plain(held=(ANY_ETAG,)))
    version = await desk.bootstrap(plain(version_only=True))
    assert (again.unchanged, anything.unchanged, version.unchanged) == (True, True, False)
    assert {again.etag, anything.etag, version.etag} == {got.etag}
    assert len(await desk.events(EventKind.BOOTSTRAP_SUCCEEDED)) == 1


async def test_the_entity_tag_changes_with_whatever_the_device_gets() -> None:
    desk = Desk()
    one, two = await desk.channels("one", "two")
    made = await desk.config(channels=(one, two))
    tags = [(await desk.bootstrap(plain())).etag]
    for command in (
        ChangeConfig(id=made.device.id, content="new"),
        ChangeConfig(id=made.device.id, certificates=CERTIFICATES),
        ChangeConfig(id=made.device.id, channels=(two, one)),
        ChangeConfig(id=made.device.id, active=True),
        ChangeChannel(id=one, metadata={"type": "export"}),
        ChangeChannel(id=one, name="first"),
        DeleteChannel(id=two),
        RotateCredentials(made.device.id),
    ):
        await desk(command)
        tags.append((await desk.bootstrap(plain())).etag)
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize(
    ("request_", "reason", "check"),
    [
        (plain("unknown"), Reason.NOT_FOUND, "bootstrap.unknown"),
        (plain(key="wrong"), Reason.FORBIDDEN, "bootstrap.key"),
        (plain(key=""), Reason.FORBIDDEN, "bootstrap.key"),
        (BootstrapRequest(external_id="aa:bb", proof=EncryptedKey("")), Reason.FORBIDDEN, "bootstrap.hex"),
        (BootstrapRequest(external_id="aa:bb", proof=EncryptedKey("external key")), Reason.FORBIDDEN, "bootstrap.hex"),
        (BootstrapRequest(external_id="aa:bb", proof=EncryptedKey("0g")), Reason.FORBIDDEN, "bootstrap.hex"),
        (BootstrapRequest(external_id="aa:bb", proof=EncryptedKey("00 11")), Reason.FORBIDDEN, "bootstrap.hex"),
        (BootstrapRequest(external_id="aa:bb", proof=EncryptedKey("00" * 15)), Reason.FORBIDDEN, "bootstrap.short"),
        (BootstrapRequest(external_id="aa:bb", proof=EncryptedKey("00" * 16)), Reason.FORBIDDEN, "bootstrap.key"),
        (BootstrapRequest(external_id="aa:bb", proof=EncryptedKey("ff" * 28)), Reason.FORBIDDEN, "bootstrap.key"),
        (BootstrapRequest(external_id="nobody", proof=EncryptedKey("0g")), Reason.NOT_FOUND, "bootstrap.unknown"),
    ],
)
async def test_a_wrong_proof_is_refused_and_recorded(request_: BootstrapRequest, reason: Reason, check: str) -> None:
    desk = Desk()
    made = await desk.config()
    refusal = await desk.bootstrap_refused(request_)
    assert (refusal.reason, refusal.check) == (reason, check)
    event = await desk.last_event(EventKind.BOOTSTRAP_REFUSED)
    assert (event.check, event.protocol, event.tenant) == (check, "http", DEFAULT_TENANT)
    known = request_.external_id == "aa:bb"
    assert (event.device, event.device_name) == ((made.device.id, "aa:bb") if known else (None, request_.external_id))


async def test_unknown_ids_are_remembered_without_what_was_presented() -> None:
    desk = Desk()
    await desk.bootstrap_refused(plain("cc:dd", "presented-secret"))
    assert await desk.repository.read(UnknownPage(DEFAULT_TENANT)) == ("cc:dd",)
    assert b"presented-secret" not in msgspec.json.encode(await desk.events())
    await desk.config("cc:dd", "another key")
    assert await desk.repository.read(UnknownPage(DEFAULT_TENANT)) == ()


async def test_a_secret_is_opened_and_compared_as_often_whatever_is_wrong() -> None:
    desk = Desk()
    await desk.config(content="long " * 1000)
    opened: list[bytes] = []

    class Counting(Vault):
        def open(self, sealed: Sealed, row: bytes) -> Secret:
            opened.append(row)
            return super().open(sealed, row)

    desk.vault.__class__ = Counting
    counts = []
    for request in (
        plain("unknown"),
        plain(key="wrong"),
        BootstrapRequest(external_id="aa:bb", proof=EncryptedKey("0g")),
        BootstrapRequest(external_id="aa:bb", proof=EncryptedKey("00")),
        BootstrapRequest(external_id="aa:bb", proof=EncryptedKey("00" * 30)),
        BootstrapRequest(external_id="unknown", proof=EncryptedKey("00" * 30)),
    ):
        opened.clear()
        await desk.bootstrap_refused(request)
        counts.append(len(opened))
    assert counts == [1] * 6


async def test_a_secure_answer_can_be_read_with_the_shared_key_alone() -> None:
    desk = Desk()
    await desk.config()
    first, second = [(await desk.bootstrap(encrypted(desk))).envelope for _ in range(2)]
    assert first is not None
    assert second is not None
    messages = first.close(b"document"), second.close(b"document")
    assert messages[0] != messages[1]
    assert [cfb.decrypt(bytes(range(16)), message) for message in messages] == [b"document"] * 2


async def test_secure_bootstrap_can_be_switched_off() -> None:
    desk = Desk()
    await desk.config()
    request = encrypted(desk)
    desk.shared_key = None
    refusal = await desk.bootstrap_refused(request)
    assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "bootstrap.secure_off")


async def test_a_connection_that_proved_its_device_needs_no_key() -> None:
    desk = Desk()
    made = await desk.config()
    other = await desk.config("cc:dd")
    proof = Identity(DEFAULT_TENANT, made.device.id, "aa:bb", None)
    assert (await desk.bootstrap(BootstrapRequest(external_id="aa:bb", proof=proof))).device.id == made.device.id
    refusal = await desk.bootstrap_refused(BootstrapRequest(external_id=other.config.external_id, proof=proof))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "identity.other")


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (ChangeDevice(ref="aa:bb", enabled=False), "bootstrap.device_disabled"),
        (ChangeDevice(ref="aa:bb", state=DeviceState.DISCARDED), "bootstrap.device_discarded"),
        (RevokeCredentials("aa:bb"), "bootstrap.device_revoked"),
    ],
)
async def test_a_device_that_is_shut_out_gets_nothing(change: Any, check: str) -> None:
    desk = Desk()
    await desk.config()
    await desk(change)
    refusal = await desk.bootstrap_refused(plain())
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, check)
    assert refusal.detail == (await desk.bootstrap_refused(plain(key="wrong"))).detail


async def test_wrong_keys_of_one_device_are_limited_and_other_devices_are_not() -> None:
    desk = Desk()
    await desk.config()
    await desk.config("cc:dd")
    desk.failures = Lockout(Rate(0.001, 2))
    for _ in range(2):
        assert (await desk.bootstrap_refused(plain(key="wrong"))).check == "bootstrap.key"
    for key in ("wrong", "external key"):
        refusal = await desk.bootstrap_refused(plain(key=key))
        assert (refusal.reason, refusal.check) == (Reason.TOO_MANY, "limit.bootstrap")
        assert refusal.retry_after
    await desk.bootstrap(plain("cc:dd"))


async def test_unknown_ids_are_limited_and_known_ones_are_not() -> None:
    desk = Desk()
    await desk.config()
    desk.failures = Lockout(Rate(0.001, 2))
    checks = [(await desk.bootstrap_refused(plain(f"unknown {number}"))).check for number in range(4)]
    assert checks == ["bootstrap.unknown", "bootstrap.unknown", "limit.bootstrap", "limit.bootstrap"]
    assert sorted(event.check for event in await desk.events(EventKind.BOOTSTRAP_REFUSED)) == checks
    await desk.bootstrap(plain())
    assert (await desk.bootstrap_refused(plain(key="wrong"))).check == "bootstrap.key"


async def test_a_change_meanwhile_is_read_again() -> None:
    desk = Desk()
    made = await desk.config()
    disabled = msgspec.structs.replace(made.device, enabled=False, version=2)
    desk.repository.overtaking.append(Changes(replace=(disabled,)))
    assert (await desk.bootstrap_refused(plain())).check == "bootstrap.device_disabled"


async def test_after_three_conflicts_the_device_is_asked_to_come_again() -> None:
    desk = Desk()
    await desk.config()
    desk.repository.failures = [Conflict(Guard.VERSION)] * 3
    refusal = await desk.bootstrap_refused(plain())
    assert (refusal.reason, refusal.check) == (Reason.UNAVAILABLE, "registry.conflict")


class Hasty(ContendedRepository):
    """A registry in which somebody is quick between the question for the key and the one for the configuration."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Changes] = []

    async def read(self, query: Query[S]) -> S:
        """Answer, and after an external key make the next change that waits."""
        answer = await super().read(query)
        if isinstance(query, ExternalKeyQuery) and self.meanwhile:
            await self.commit(self.meanwhile.pop(0))
        return answer


async def test_a_configuration_that_is_made_anew_meanwhile_is_asked_for_again() -> None:
    repository = Hasty()
    desk = Desk(repository=repository)
    made = await desk.config()
    anew = Seals(desk.vault).with_external_key(made.config, Secret("another key"))
    repository.meanwhile = [Changes(delete=(Delete(made.config),)), Changes(insert=(anew,))]
    assert (await desk.bootstrap_refused(plain())).check == "bootstrap.unknown"
    repository.meanwhile = [Changes(delete=(Delete(anew),)), Changes(insert=(made.config,))]
    again = BootstrapRequest(external_id="aa:bb", proof=PlainKey(Secret("another key")))
    assert (await desk.bootstrap_refused(again)).check == "bootstrap.unknown"
    assert (await desk.bootstrap(plain())).config == made.config
