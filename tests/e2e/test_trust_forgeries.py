"""Chains that let nobody in, and what the operator reads of each."""

from collections.abc import Callable
from pathlib import Path

from tests.core.authorities import Holder
from tests.e2e.trusting import ca, leaf, trusting
from tests.protocols.scenario_cast import needs
from tests.tls.tls_parties import Place

pytestmark = [needs("curl"), needs("coap-client-openssl"), needs("coap-client-gnutls")]

Chain = tuple[Holder, ...]
NAME = "m-1.example"


def self_made(_factory: Holder) -> Chain:
    """By an authority of the same name, which somebody else made."""
    forged = ca()
    return leaf(NAME, forged), forged


def under_a_foreign_name(factory: Holder) -> Chain:
    """By somebody else, with the right authority beside it."""
    return leaf(NAME, ca()), factory


def alone(_factory: Holder) -> Chain:
    return (leaf(NAME),)


def expired(factory: Holder) -> Chain:
    return leaf(NAME, factory, begins=-9, ends=-0.1), factory


def early(factory: Holder) -> Chain:
    return leaf(NAME, factory, begins=0.1), factory


def by_a_device(factory: Holder) -> Chain:
    """By a certificate without the CA flag."""
    device = leaf("m-0.example", factory)
    return leaf(NAME, device), device, factory


def too_deep(factory: Holder) -> Chain:
    """By an authority below one that may have none below it."""
    line = ca("Line 7", factory, 0)
    shift = ca("Shift 2", line)
    return leaf(NAME, shift), shift, line, factory


def misnamed(factory: Holder) -> Chain:
    return leaf("m-1.elsewhere", factory), factory


FORGERIES: tuple[tuple[Callable[[Holder], Chain], str], ...] = (
    (self_made, "chain.signature"),
    (under_a_foreign_name, "chain.signature"),
    (alone, "certificate.unknown"),
    (expired, "certificate.expired"),
    (early, "certificate.early"),
    (by_a_device, "chain.authority"),
    (too_deep, "chain.path_length"),
    (misnamed, "chain.name"),
)


async def test_no_forgery_lets_anybody_in(tmp_path: Path, home: Place) -> None:
    factory = ca()
    async with trusting(tmp_path, home) as there:
        await there.chain_profile("meters", factory)
        for forge, check in FORGERIES:
            files = there.files(*forge(factory))
            assert await there.mqtt_code(files) == 0x87, forge
            assert await there.refusals() == [check]
            assert await there.post(files) == "401", forge
            assert await there.refusals() == [check, "device.credential_missing"]
            said = await there.coaps("gnutls", *there.certified(files), seconds=2)
            assert "cannot send CoAP pdu" in said, forge
            assert await there.refusals() == [check]
        assert await there.operator.all("/v1/devices") == []


async def test_authorities_of_two_profiles_do_not_vouch_for_each_other(tmp_path: Path, home: Place) -> None:
    ours, theirs = ca("Ours"), ca("Theirs")
    async with trusting(tmp_path, home) as there:
        mine = await there.chain_profile("ours", ours, "^(.*)$")
        await there.chain_profile("theirs", theirs, "^(.*)$")
        assert await there.post(there.files(leaf("m-1", ours), ours)) == "200"
        assert await there.post(there.files(leaf("m-1", theirs), theirs)) == "401"
        assert "device.other_profile" in await there.refusals()
        assert (await there.named("m-1"))["profile"] == mine["id"]
        assert await there.post(there.files(leaf("m-1", theirs), ours)) == "401"
        assert "chain.signature" in await there.refusals()


async def test_profiles_under_one_authority_are_told_apart_by_their_patterns(tmp_path: Path, home: Place) -> None:
    factory = ca()
    async with trusting(tmp_path, home) as there:
        for kind in ("meter", "valve"):
            await there.chain_profile(kind, factory, f"^({kind}-.*)$")
        await there.chain_profile("pumps", factory, "^(pump.*)$")
        await there.chain_profile("more pumps", factory, "^(.*-[0-9]*)$")
        profiles = {each["id"]: each["name"] for each in await there.operator.all("/v1/profiles")}
        for name in ("meter-x", "valve-x"):
            assert await there.post(there.files(leaf(name, factory))) == "200"
            assert profiles[(await there.named(name))["profile"]] == name[:5]
        assert await there.post(there.files(leaf("pump-1", factory))) == "401"
        assert "chain.ambiguous" in await there.refusals()


async def test_whose_certificates_are_revoked_is_not_let_in_by_its_chain_again(tmp_path: Path, home: Place) -> None:
    factory = ca()
    files = leaf(NAME, factory), factory
    async with trusting(tmp_path, home) as there:
        await there.chain_profile("meters", factory)
        async with there.paho(there.files(*files)) as device:
            await there.firstlight("device", "revoke", "m-1")
            assert await device.ended() == 0x87
        for proof in (there.files(*files), there.files(leaf(NAME, factory), factory)):
            assert await there.mqtt_code(proof) == 0x87
            assert set(await there.refusals()) == {"credential.revoked"}


async def test_a_lax_profile_looks_at_signatures_alone(tmp_path: Path, home: Place) -> None:
    factory = ca()
    async with trusting(tmp_path, home) as there:
        await there.chain_profile("meters", factory, lax=True)
        for forge, status in ((by_a_device, "200"), (too_deep, "200"), (self_made, "401"), (expired, "401"), (misnamed, "401")):
            assert await there.post(there.files(*forge(factory))) == status, forge


async def test_explain_speaks_of_the_chain(tmp_path: Path, home: Place) -> None:
    factory = ca()
    async with trusting(tmp_path, home) as there:
        await there.chain_profile("meters", factory)
        assert await there.mqtt_code(there.files(*expired(factory))) == 0x87
        event = await there.operator.newest_event()
        said = await there.firstlight("explain", event["correlation"])
        assert "certificate.expired" in said
        assert "The time of the device's certificate is over." in said
