"""A gateway's own figures: what they say, and the addresses that show them."""

import asyncio
from pathlib import Path

import pytest

from adapters import spoken
from adapters.config import from_environment
from adapters.settings import Address
from adapters.tls.material import read
from tests.e2e.gateways import ADMIN_TOKEN, environment, opened
from tests.e2e.operator_api import Operator
from tests.tls import tls_parties as parties
from tests.tls.tls_parties import HOST, Place

ANY = f"{HOST}:0"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "tls"
    folder.mkdir()
    return parties.place(folder)


async def statuses(addresses, path="/metrics"):
    """Return the status of a page at every address."""
    found = []
    for address in addresses:
        async with Operator(Address(address.host, address.port), "") as stranger:
            found.append((await stranger.ask("GET", path)).status)
    return found


async def test_figures_stay_with_the_operators_where_devices_have_addresses_of_their_own(tmp_path):
    async with opened(tmp_path, HTTP=f"{ANY}=thingsboard,{ANY}=operator,{ANY}=firstlight+operator") as gateway:
        assert await statuses(gateway.listening.http) == [404, 200, 200]
        for path in ("/healthz", "/readyz", "/health", "/version"):
            assert await statuses(gateway.listening.http, path) == [200, 200, 200]


@pytest.mark.parametrize("http", [ANY, f"{ANY}=thingsboard,{ANY}=xively"])
async def test_figures_are_everywhere_where_no_address_is_only_for_operators(tmp_path, http):
    async with opened(tmp_path, HTTP=http) as gateway:
        assert set(await statuses(gateway.listening.http)) == {200}


async def test_an_address_that_serves_everything_serves_operators_too(tmp_path):
    async with opened(tmp_path, HTTP=f"{ANY}=thingsboard,{ANY}") as gateway:
        assert await statuses(gateway.listening.http) == [404, 200]


def test_operators_may_have_their_address_with_tls_alone(tmp_path, place):
    tls = {"TLS_CERT": str(place.certificate), "TLS_KEY": str(place.key)}
    settings = environment(tmp_path, HTTP=f"{ANY}=thingsboard", HTTPS=f"{ANY}=operator", **tls)
    assert spoken.is_for_operators(from_environment(settings))
    settings["FIRSTLIGHT_HTTPS"] = f"{ANY}=xively"
    assert not spoken.is_for_operators(from_environment(settings))


async def test_a_gateway_says_what_it_is_and_how_it_is(tmp_path):
    async with opened(tmp_path) as gateway, Operator(gateway.listening.http[0], ADMIN_TOKEN) as operator:
        await operator.ask("GET", "/readyz")
        await operator.post("/v1/profiles", {"name": "things"})
        figures = await operator.figures()
        assert figures['firstlight_level{level="ready"}'] == 1.0
        assert figures['firstlight_level{level="requests.pending"}'] == 0.0
        assert figures['firstlight_level{level="registry.queue"}'] == 0.0
        assert figures['firstlight_commit_seconds_count{outcome="committed"}'] >= 1.0
        assert 'firstlight_level{level="tls.certificate_expires"}' not in figures
        (build,) = (name for name in figures if name.startswith("firstlight_build_info"))
        assert 'version="' in build
        assert 'schema="0"' not in build


@pytest.mark.parametrize("database", ["memory:"])
async def test_a_registry_without_a_schema_says_so(tmp_path, database):
    async with opened(tmp_path, DATABASE=database) as gateway, Operator(gateway.listening.http[0], ADMIN_TOKEN) as operator:
        assert any('schema="0"' in name for name in await operator.figures())


async def test_the_end_of_the_certificate_is_that_of_the_one_that_is_served(tmp_path, place):
    files = {"TLS_CERT": str(place.certificate), "TLS_KEY": str(place.key)}
    tls = dict.fromkeys(("HTTPS", "MQTTS", "COAPS"), ANY) | files
    level = 'firstlight_level{level="tls.certificate_expires"}'
    async with opened(tmp_path, **tls) as gateway, Operator(gateway.listening.http[0], ADMIN_TOKEN) as operator:
        before = (await operator.figures())[level]
        assert before == read(place.certificate, place.key).ends
        await asyncio.sleep(1.1)  # ends are whole seconds: the next one is another one
        place.renew()
        gateway.reload()
        renewed = (await operator.figures())[level]
        assert renewed > before
        place.certificate.write_text("no certificate")
        gateway.reload()
        assert (await operator.figures())[level] == renewed  # a faulty one is not served
