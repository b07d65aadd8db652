"""A slash that belongs to a name is not a slash of the path."""

import aiohttp
from yarl import URL

from adapters import app
from adapters.config import from_environment
from adapters.keys import ADMIN_TOKEN_FILE


async def test_a_device_whose_name_holds_a_slash_is_reached_and_methods_are_told(tmp_path):
    settings = {
        "FIRSTLIGHT_DATA": str(tmp_path),
        "FIRSTLIGHT_COAP": "",
        "FIRSTLIGHT_MQTT": "",
        "FIRSTLIGHT_HTTP": "127.0.0.1:0",
    }
    async with app.build(from_environment(settings)).running() as running, aiohttp.ClientSession() as client:
        base = f"http://{running.listening.http[0]}"
        bearer = {"Authorization": "Bearer " + (tmp_path / ADMIN_TOKEN_FILE).read_text().strip()}
        await client.post(f"{base}/v1/profiles", json={"name": "p"}, headers=bearer)
        token = {"type": "access_token", "token": "a/b"}
        made = await client.post(
            f"{base}/v1/devices", json={"name": "hall/1", "profile": "p", "credential": token}, headers=bearer
        )
        assert made.status == 201
        shown = await client.get(URL(f"{base}/v1/devices/hall%2F1", encoded=True), headers=bearer)
        assert (await shown.json())["name"] == "hall/1"
        sent = await client.post(URL(f"{base}/api/v1/a%2fb/telemetry", encoded=True), data=b"{}")
        assert sent.status == 200
        split = await client.post(f"{base}/api/v1/a/b/telemetry", data=b"{}")
        assert split.status == 404
        refused = await client.get(f"{base}/api/v1/provision")
        assert refused.status == 405
        assert refused.headers["Allow"] == "POST"
