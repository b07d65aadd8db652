"""Devices that leave out the certificate that the operator gave: most TLS clients send their own alone."""

from pathlib import Path

from tests.core.authorities import Holder
from tests.e2e.trusting import READING, TOPIC, Trusting, ca, leaf, trusting
from tests.protocols.scenario_cast import needs
from tests.tls.tls_parties import HOST, Place, said

pytestmark = [needs("curl"), needs("mosquitto_pub")]


async def published(there: Trusting, *chain: Holder) -> str:
    """Publish with mosquitto_pub and a certificate alone; returns what it complains of."""
    files = there.files(*chain)
    proof = ("--cert", files.chain, "--key", files.key, "--cafile", there.home.authority)
    at = ("-h", HOST, "-p", str(there.listening.mqtts[0].port))
    return await said("mosquitto_pub", *at, *proof, "-V", "5", "-q", "1", "-t", TOPIC, "-m", READING)


async def test_the_authority_of_a_profile_need_not_be_sent(tmp_path: Path, home: Place) -> None:
    factory = ca()
    line = ca("Line 7", factory)
    async with trusting(tmp_path, home) as there:
        await there.chain_profile("meters", factory)
        assert await published(there, leaf("m-1.example", factory)) == ""
        assert await published(there, leaf("m-2.example", line), line) == ""
        assert await there.post(there.files(leaf("m-3.example", factory))) == "200"
        assert await there.post(there.files(leaf("m-4.example", line), line)) == "200"
        assert await there.refusals() == []
        for name in ("m-1", "m-2", "m-3", "m-4"):
            assert (await there.named(name))["state"] == "connected"
        assert "Not authorized" in await published(there, leaf("m-5.example", ca()))
        assert "Not authorized" in await published(there, leaf("m-6.example", line))
        assert await there.refusals() == ["chain.signature", "certificate.unknown"]
        await there.chain_profile("line 7", line)
        assert await published(there, leaf("m-6.example", line)) == ""
