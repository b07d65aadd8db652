"""A device proves its external key without sending it, and what strangers make of that."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.configuration import Seals
from core.crypto import cfb, challenge_offers
from core.crypto.cfb import Envelope
from core.crypto.challenges import ExchangeKeys, Parties, encode
from core.crypto.vault import Vault
from core.errors import Conflict, Guard, Reason, Refusal
from core.limits import Rate
from core.lockout import Lockout
from core.messages import ClientCertificates, ProvenBootstrap
from core.model import DeviceState, EventKind, Plain, Sealed, Secret
from core.operate.messages import ChangeDevice, RevokeCredentials
from core.ports import Changes, Delete
from core.queries import ExternalKeyQuery, ProfileQuery, Query, S, UnknownPage
from tests.challenging import CONTEXT, KEY, NONCE, Gate, flipped, keys_of, proven, replaced, restarted
from tests.operating import ContendedRepository, Desk

VECTORS = json.loads((Path(__file__).parent / "vectors" / "challenge.json").read_text())
EACH = pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in VECTORS])
TYPE = "application/json"


async def opened() -> tuple[Desk, Gate]:
    desk = Desk()
    await desk.config()
    return desk, Gate(desk)


async def refused(gate: Gate, request: ProvenBootstrap, **options: Any) -> Refusal:
    try:
        answer = await gate.prove(request, **options)
    except Refusal as refusal:
        return refusal
    raise AssertionError(f"not refused: {answer!r}")


def of(vector: dict[str, Any]) -> ExchangeKeys:
    nonces = (bytes.fromhex(vector[name]) for name in ("device_nonce", "server_nonce"))
    return ExchangeKeys(Secret(vector["external_key"]), Parties(vector["external_id"], *nonces))


@EACH
def test_the_vectors_of_the_specification(vector: dict[str, Any]) -> None:
    keys, version, kind = of(vector), vector["version"], vector["content_type"]
    content = {name: bytes.fromhex(vector[name]) for name in ("challenge", "proof", "plaintext", "iv", "sealed")}
    assert keys.prove(content["challenge"]) == content["proof"]
    assert keys.seal(content["plaintext"], version, kind, content["iv"]) == content["sealed"]
    assert keys.open(content["sealed"], version, kind) == content["plaintext"]


@EACH
def test_a_flipped_bit_of_an_answer_is_noticed_wherever_it_is(vector: dict[str, Any]) -> None:
    keys, version, kind = of(vector), vector["version"], vector["content_type"]
    sealed = bytes.fromhex(vector["sealed"])
    for bit in range(0, 8 * len(sealed), 1 if len(sealed) < 500 else 61):
        with pytest.raises(ValueError, match="altered"):
            keys.open(flipped(sealed, bit), version, kind)
    for other in (sealed[:-1], sealed[:27], sealed[:11], b"", sealed + b"\x00"):
        with pytest.raises(ValueError, match="altered"):
            keys.open(other, version, kind)
    for wrong in ((version ^ 1, kind), (version, "application/xml")):
        with pytest.raises(ValueError, match="altered"):
            keys.open(sealed, *wrong)


def test_the_inherited_encryption_lets_a_flipped_bit_pass_and_this_does_not() -> None:
    shared, document = bytes(range(16)), b'{"content":"pump off","broker":"mqtt.example"}'
    message = Envelope(shared, bytes(16)).close(document)
    bit = 8 * (len(message) - len(document) + document.index(b"example")) + 0
    got = cfb.decrypt(shared, flipped(message, bit))
    assert got != document
    assert got[: document.index(b"example")] == document[: document.index(b"example")]
    last = cfb.decrypt(shared, flipped(message, 8 * len(message) - 8 * 3))
    assert json.loads(last)["broker"] != "mqtt.example"  # a device would go there, and nothing told it not to
    keys = ExchangeKeys(Secret(KEY), Parties("aa:bb", NONCE, bytes(32)))
    sealed = keys.seal(document, 1, TYPE, bytes(12))
    with pytest.raises(ValueError, match="altered"):
        keys.open(flipped(sealed, 8 * len(sealed) - 8 * 19), 1, TYPE)


def test_no_two_lists_of_fields_read_the_same() -> None:
    assert encode(b"ab", b"c") == b"\0\0\0\2ab\0\0\0\1c" != encode(b"a", b"bc")
    parties = Parties("aa", b"n", b"s"), Parties("a", b"an", b"s")
    assert len({ExchangeKeys(Secret(KEY), each).prove(b"") for each in parties}) == 2


async def test_a_device_gets_its_configuration_sealed() -> None:
    desk = Desk()
    channels = await desk.channels("data", "control")
    certificates = ClientCertificates("cert", Secret("key"), "ca")
    made = await desk.config(channels=channels, content="c", certificates=certificates)
    gate = Gate(desk)
    offered = await gate.offer()
    assert (len(offered.challenge), len(offered.nonce), offered.lifetime_seconds) == (88, 32, 60)
    got = await gate.prove(proven(offered))
    result = got.bootstrapped
    assert (result.config, result.secret, result.content, result.certificates) == (made.config, made.secret, "c", certificates)
    assert [channel.name for channel in result.channels] == ["data", "control"]
    sealed = got.seal.close(b"document", TYPE)
    assert got.seal.version == made.config.version
    assert keys_of(offered).open(sealed, made.config.version, TYPE) == b"document"
    event = await desk.last_event(EventKind.BOOTSTRAP_SUCCEEDED)
    assert (event.device, event.protocol, event.detail) == (made.device.id, "coap", "version 1")
    assert (await gate.prove(await gate.request())).bootstrapped.device.state is DeviceState.PROVISIONED


async def test_an_answer_is_good_for_its_own_exchange_alone() -> None:
    desk, gate = await opened()
    await desk.config("cc:dd")
    offered = await gate.offer()
    sealed = (await gate.prove(proven(offered))).seal.close(b"document", TYPE)
    for keys in (
        keys_of(await gate.offer()),  # one that was kept from before is no answer to a new challenge
        keys_of(offered, nonce=bytes(32)),
        keys_of(offered, external_id="cc:dd"),
        keys_of(offered, key="another key"),
    ):
        with pytest.raises(ValueError, match="altered"):
            keys.open(sealed, 1, TYPE)


async def test_everybody_is_given_a_challenge_and_nothing_is_asked_or_kept() -> None:
    desk, gate = await opened()
    before = len(desk.repository.commits)
    known, unknown = await gate.offer(), await gate.offer("nobody")
    assert len({known.challenge, unknown.challenge, (await gate.offer()).challenge}) == 3
    assert [len(each.challenge) for each in (known, unknown)] == [88, 88]
    assert (len(desk.repository.commits), gate.memory.used) == (before, set())


async def attacks(gate: Gate) -> dict[str, list[ProvenBootstrap]]:
    """Return wrong requests by what is wrong."""
    desk = gate.desk
    right = await gate.request()
    other = await gate.request("cc:dd", "other key")
    again = await gate.request(nonce=bytes(32))
    late = await gate.request()
    desk.clock.advance(60)
    used = await gate.request()
    await gate.prove(used)
    right = await gate.request()
    foreign = [replaced(right, challenge=flipped(right.challenge, bit)) for bit in range(8 * len(right.challenge))]
    cut = [replaced(right, challenge=right.challenge[:size]) for size in (0, 1, 31, 32, 47, 87)]
    elsewhere = await restarted(desk).request()
    return {
        "challenge.foreign": [*foreign, *cut, replaced(right, challenge=right.challenge + b"\0"), elsewhere],
        "challenge.swapped": [
            *(replaced(right, nonce=flipped(NONCE, bit)) for bit in range(256)),
            replaced(right, challenge=other.challenge, proof=other.proof),
            replaced(right, challenge=again.challenge),
            replaced(other, external_id="aa:bb"),
        ],
        "challenge.expired": [late],
        "challenge.spent": [used],
        "challenge.proof": [
            *(replaced(right, proof=flipped(right.proof, bit)) for bit in range(256)),
            replaced(right, proof=b""),
            replaced(right, proof=(await gate.request()).proof),
            proven(await gate.offer(), key="wrong"),
            proven(await gate.offer(), key=""),
        ],
        "bootstrap.unknown": [await gate.request("nobody"), replaced(right, external_id="nobody")],
    }


async def test_whatever_is_wrong_is_refused_alike_and_told_apart_for_operators() -> None:
    desk, gate = await opened()
    await desk.config("cc:dd", "other key")
    told = set()
    for check, requests in (await attacks(gate)).items():
        for request in requests:
            desk.clock.advance(0.001)  # so that events sort by what they tell of
            refusal = await refused(gate, request)
            told.add((refusal.reason, refusal.detail, refusal.retry_after))
            assert refusal.check == check
        event = await desk.last_event(EventKind.BOOTSTRAP_REFUSED)
        assert (event.check, event.device is None) == (check, check == "bootstrap.unknown")
    assert told == {(Reason.FORBIDDEN, "the external key is not right", None)}
    assert await desk.repository.read(UnknownPage(event.tenant)) == ("nobody",)


async def test_a_flipped_bit_of_the_external_id_makes_it_another() -> None:
    _, gate = await opened()
    right = await gate.request()
    for bit in range(40):
        other = flipped(b"aa:bb", bit).decode("latin-1")
        assert (await refused(gate, replaced(right, external_id=other))).check == "bootstrap.unknown"
    await gate.prove(right)


async def test_whatever_is_wrong_costs_the_same_reads_and_opened_seals() -> None:
    desk, gate = await opened()
    work: list[str] = []

    class Counting(Vault):
        def open(self, sealed: Sealed, row: bytes) -> Secret:
            work.append("open")
            return super().open(sealed, row)

    class Reading(ContendedRepository):
        async def read(self, query: Query[S]) -> S:
            work.append(type(query).__name__)
            return await super().read(query)

    found = {check: requests[-1] for check, requests in (await attacks(gate)).items() if check != "challenge.spent"}
    desk.vault.__class__ = Counting
    desk.repository.__class__ = Reading
    costs = set()
    for request in found.values():
        work.clear()
        await refused(gate, request)
        costs.add(tuple(work))
    assert costs == {("ExternalKeyQuery", "open")}


async def test_a_stranger_does_not_use_up_the_challenge_of_a_device() -> None:
    _, gate = await opened()
    request = await gate.request()
    await refused(gate, replaced(request, proof=bytes(32)))
    await gate.prove(request)
    assert (await refused(gate, request)).check == "challenge.spent"


async def test_a_challenge_lasts_a_minute() -> None:
    desk, gate = await opened()
    first, second = await gate.request(), await gate.request()
    desk.clock.advance(59.9)
    await gate.prove(first)
    desk.clock.advance(0.1)
    assert (await refused(gate, second)).check == "challenge.expired"


async def test_where_no_more_can_be_remembered_nothing_is_given_away() -> None:
    desk, gate = await opened()
    request = await gate.request()
    gate.memory.fault = Refusal(Reason.UNAVAILABLE, "full", check="challenge.room", retry_after=9.0)
    refusal = await refused(gate, request)
    assert (refusal.reason, refusal.check, refusal.retry_after) == (Reason.UNAVAILABLE, "challenge.room", 9.0)
    assert not await desk.events(EventKind.BOOTSTRAP_SUCCEEDED)


async def test_ten_thousand_guesses_get_no_further_than_the_first_few() -> None:
    desk, gate = await opened()
    desk.failures = Lockout(Rate(1.0, 10))
    guess = proven(await gate.offer(), key="guess")
    checks = [(await refused(gate, guess)).check for _ in range(10_000)]
    assert checks == ["challenge.proof"] * 10 + ["limit.bootstrap"] * 9_990
    assert (await refused(gate, await gate.request())).reason is Reason.TOO_MANY
    desk.clock.advance(1)
    await gate.prove(await gate.request())


async def test_guesses_side_by_side_get_no_further() -> None:
    class Slow(ContendedRepository):
        async def read(self, query: Query[S]) -> S:
            await asyncio.sleep(0)
            return await super().read(query)

    desk = Desk(repository=Slow())
    await desk.config()
    desk.failures = Lockout(Rate(0.001, 10))
    gate = Gate(desk)
    guess = proven(await gate.offer(), key="guess")
    checks = [refusal.check for refusal in await asyncio.gather(*(refused(gate, guess) for _ in range(200)))]
    assert (checks.count("challenge.proof"), checks.count("limit.bootstrap")) == (10, 190)


async def test_wrong_proofs_count_with_wrong_keys_and_other_devices_go_on() -> None:
    desk, gate = await opened()
    await desk.config("cc:dd", "other key")
    desk.failures = Lockout(Rate(0.001, 2))
    for _ in range(2):
        assert (await refused(gate, await gate.request(key="wrong"))).check == "challenge.proof"
    for _ in range(3):
        assert (await refused(gate, await gate.request())).check == "limit.bootstrap"
    await gate.prove(await gate.request("cc:dd", "other key"))
    await gate.prove(await gate.request(), msgspec.structs.replace(CONTEXT, source="192.0.2.8"))


async def test_limits_do_not_tell_known_ids_from_unknown_ones() -> None:
    told = []
    for asked in (("aa:bb", "cc:dd", "ee:ff"), ("aa:bb", "nobody", "neither"), ("nobody", "neither", "none")):
        desk, gate = await opened()
        for external_id in ("cc:dd", "ee:ff"):
            await desk.config(external_id)
        desk.failures = Lockout(Rate(0.001, 2))
        answers = [await refused(gate, await gate.request(name, "guess")) for name in (*asked, *asked, *asked)]
        told.append([(refusal.reason, refusal.detail, refusal.retry_after) for refusal in answers])
    assert told[0] == told[1] == told[2]
    assert {reason for reason, _, _ in told[0]} == {Reason.FORBIDDEN, Reason.TOO_MANY}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (ChangeDevice(ref="aa:bb", enabled=False), "bootstrap.device_disabled"),
        (ChangeDevice(ref="aa:bb", state=DeviceState.DISCARDED), "bootstrap.device_discarded"),
        (RevokeCredentials("aa:bb"), "bootstrap.device_revoked"),
    ],
)
async def test_a_device_that_is_shut_out_looks_like_a_wrong_proof(change: Any, check: str) -> None:
    desk, gate = await opened()
    await desk(change)
    refusal = await refused(gate, await gate.request())
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, check)
    assert refusal.detail == (await refused(gate, await gate.request(key="wrong"))).detail


@pytest.mark.parametrize(
    ("plain", "secure", "granted"),
    [
        (Plain.CHALLENGE, False, True),
        (Plain.EVERYTHING, False, True),
        (Plain.NOTHING, False, False),
        (Plain.NOTHING, True, True),
    ],
)
async def test_what_a_profile_lets_plain_wires_carry(plain: Plain, secure: bool, granted: bool) -> None:
    desk = Desk()
    made = await desk.config()
    gate = Gate(desk)
    profile = await desk.repository.read(ProfileQuery(made.device.tenant, made.device.profile))
    assert profile is not None
    changed = msgspec.structs.replace(profile, plain=plain, version=profile.version + 1)
    await desk.repository.commit(Changes(replace=(changed,)))
    desk.failures = Lockout(Rate(0.001, 2))
    context = msgspec.structs.replace(CONTEXT, secure=secure)
    for _ in range(3):  # who has the right key did not guess
        request = await gate.request()
        if granted:
            await gate.prove(request, context)
        else:
            assert (await refused(gate, request, context=context)).check == "plain.refused"


async def test_a_change_meanwhile_is_read_again_and_the_challenge_is_used_once() -> None:
    desk = Desk()
    made = await desk.config()
    gate = Gate(desk)
    renamed = msgspec.structs.replace(made.device, label="renamed", version=2)
    desk.repository.overtaking.append(Changes(replace=(renamed,)))
    assert (await gate.prove(await gate.request())).bootstrapped.device.label == "renamed"


async def test_after_three_conflicts_the_device_is_asked_to_come_again() -> None:
    desk, gate = await opened()
    desk.repository.failures = [Conflict(Guard.VERSION)] * 3
    refusal = await refused(gate, await gate.request())
    assert (refusal.reason, refusal.check) == (Reason.UNAVAILABLE, "registry.conflict")


async def test_a_key_that_is_changed_meanwhile_has_to_be_proved() -> None:
    class Hasty(ContendedRepository):
        def __init__(self) -> None:
            super().__init__()
            self.meanwhile: list[Changes] = []

        async def read(self, query: Query[S]) -> S:
            answer = await super().read(query)
            if isinstance(query, ExternalKeyQuery) and self.meanwhile:
                await self.commit(self.meanwhile.pop(0))
            return answer

    repository = Hasty()
    desk = Desk(repository=repository)
    made = await desk.config()
    gate = Gate(desk)
    anew = Seals(desk.vault).with_external_key(made.config, Secret("another key"))
    repository.meanwhile = [Changes(delete=(Delete(made.config),), insert=(anew,))]
    assert (await refused(gate, await gate.request())).check == "challenge.proof"
    await gate.prove(await gate.request(key="another key"))


async def test_nothing_secret_shows() -> None:
    desk, gate = await opened()
    offered = await gate.offer()
    got = await gate.prove(proven(offered))
    shown = repr((offered, proven(offered), keys_of(offered), got.seal, got.bootstrapped.secret))
    assert KEY not in shown
    assert got.bootstrapped.secret.reveal() not in shown
    assert KEY.encode() not in msgspec.json.encode(await desk.events())


def test_a_challenge_is_for_one_epoch_and_one_master_key() -> None:
    desk = Desk()
    parties = Parties("aa:bb", NONCE, bytes(32))
    challenge = challenge_offers.write(parties, 5, b"epoch", desk.vault)
    offer = challenge_offers.read(challenge, b"epoch", desk.vault)
    assert (offer.server_nonce, offer.until, offer.is_for("aa:bb", NONCE)) == (bytes(32), 5, True)
    assert challenge_offers.read(challenge, b"other", desk.vault) is challenge_offers.NO_OFFER
    other = Vault(bytes([1]) * 32, desk.issuer.entropy)
    assert challenge_offers.read(challenge, b"epoch", other) is challenge_offers.NO_OFFER
