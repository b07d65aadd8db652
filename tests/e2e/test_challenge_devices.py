"""The two devices that show how bootstrap by challenge and response is done, against a whole gateway and against a forger."""

import asyncio
import base64
import contextlib
import importlib.util
import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.app import Running
from tests.core.test_challenges import EACH
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator

DEVICES = Path(__file__).parents[2] / "deploy" / "devices"
COMPILER = shutil.which("gcc")
C_OPTIONS = ("-std=c11", "-D_POSIX_C_SOURCE=200809L", "-O1", "-g", "-Wall", "-Wextra", "-Werror", f"-I{DEVICES}")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
needs_compiler = pytest.mark.skipif(
    COMPILER is None or not Path("/usr/include/openssl/evp.h").exists(), reason="gcc and libssl-dev are not installed"
)
IN_BOTH = pytest.mark.parametrize("language", ["python", pytest.param("c", marks=needs_compiler)])
DEADLINE = 60
ID, KEY = "pump-17", "v7aT0HGxJxt2gULzr3RHwf4WIf6DusPp"
Fields = dict[str, Any]
Alter = Callable[[str, Fields], None]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Compiles a program, once."""
    folder = tmp_path_factory.mktemp("built")

    def compiled(source: Path) -> Path:
        program = folder / source.stem
        if not program.exists():
            asyncio.run(run(str(COMPILER), *C_OPTIONS, *SANITIZERS, "-o", str(program), str(source), "-lcrypto"))
        return program

    return compiled


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway that has one configuration."""
    async with opened(tmp_path, PLAIN="challenge,operator=everything") as gateway:
        async with Operator(gateway.listening.http[0], ADMIN_TOKEN) as operator:
            for external_id in (ID, "Zähler-№ 42"):
                body = {"external_id": external_id, "external_key": KEY, "content": "Größe 5 µm" * 300}
                await operator.post("/v1/configs", body)
        yield gateway


async def run(*command: str, key: str = KEY) -> tuple[int, str, str]:
    """Run a program to its end; returns its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        # A program that ends leaves it to the system to take its memory back.
        env={"EXTERNAL_KEY": key, "PATH": "/usr/bin:/bin", "ASAN_OPTIONS": "detect_leaks=0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def device(language: str, request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The command that is a device."""
    if language == "python":
        return (sys.executable, str(DEVICES / "challenge_device.py"))
    return (str(request.getfixturevalue("built")(DEVICES / "challenge_device.c")),)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The device in Python, to be called."""
    spec = importlib.util.spec_from_file_location("challenge_device", DEVICES / "challenge_device.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@EACH
def test_the_vectors_in_python(vector: Fields, reference: ModuleType) -> None:
    content = {name: bytes.fromhex(vector[name]) for name in ("device_nonce", "server_nonce", "challenge", "plaintext")}
    key, external_id = vector["external_key"].encode(), vector["external_id"].encode()
    nonces = content["device_nonce"], content["server_nonce"]
    assert reference.prove(key, external_id, *nonces, content["challenge"]).hex() == vector["proof"]
    assert reference.derive(key, b"".join(nonces), b" proof").hex() == vector["proof_key"]
    assert reference.derive(key, b"".join(nonces), b" answer").hex() == vector["answer_key"]
    sealed = base64.b64encode(bytes.fromhex(vector["sealed"])).decode()
    answer = {"version": vector["version"], "content_type": vector["content_type"], "sealed": sealed}
    assert reference.open_answer(key, external_id, *nonces, answer) == content["plaintext"]
    with pytest.raises(reference.Refused):
        reference.open_answer(key, external_id, *nonces, answer | {"version": vector["version"] ^ 1})


@needs_compiler
@EACH
def test_the_vectors_in_c(vector: Fields, built: Callable[[Path], Path]) -> None:
    program = built(Path(__file__).parent / "challenge_vectors.c")
    last = vector["sealed"][:-1] + ("0" if vector["sealed"][-1] != "0" else "1")
    for sealed, text in ((vector["sealed"], vector["plaintext"]), (last, "refused")):
        nonces = vector["device_nonce"] + vector["server_nonce"]
        arguments = (vector["external_id"], nonces, vector["challenge"], str(vector["version"]), vector["content_type"], sealed)
        status, out, err = asyncio.run(run(str(program), *arguments, key=vector["external_key"]))
        assert (status, out.split("\n")[:2], err) == (0, [vector["proof"], text], "")


@IN_BOTH
@pytest.mark.parametrize("external_id", [ID, "Zähler-№ 42"])
async def test_a_device_gets_its_configuration(running: Running, device: tuple[str, ...], external_id: str) -> None:
    status, out, err = await run(*device, *where(running.listening.http[0]), external_id)
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert (document["content"], document["version"]) == ("Größe 5 µm" * 300, 1)
    assert document["secret"]


@IN_BOTH
async def test_a_device_with_a_wrong_key_is_told_no_more_than_one_that_is_not_known(
    running: Running, device: tuple[str, ...]
) -> None:
    told = {
        await run(*device, *where(running.listening.http[0]), external_id, key=key)
        for external_id, key in ((ID, "wrong"), ("nobody", KEY))
    }
    ((status, out, err),) = told
    assert (status, out) == (1, "")
    assert "the external key is not right" in err


@IN_BOTH
async def test_a_device_that_finds_nobody_says_so(device: tuple[str, ...]) -> None:
    status, out, err = await run(*device, "127.0.0.1", "1", ID)
    assert (status, out, err.startswith("no configuration: ")) == (1, "", True)


def later_version(path: str, fields: Fields) -> None:
    if "version" in fields:
        fields["version"] += 1


def other_type(path: str, fields: Fields) -> None:
    if "content_type" in fields:
        fields["content_type"] = "application/cbor"


def one_bit(name: str, place: int) -> Alter:
    def alter(path: str, fields: Fields) -> None:
        if name in fields:
            content = bytearray(base64.b64decode(fields[name]))
            content[place] ^= 1
            fields[name] = base64.b64encode(content).decode()

    return alter


def cut_off(path: str, fields: Fields) -> None:
    if "sealed" in fields:
        fields["sealed"] = base64.b64encode(base64.b64decode(fields["sealed"])[:20]).decode()


ALTERED, REFUSED = "the answer was altered", "the external key is not right"


@IN_BOTH
@pytest.mark.parametrize(
    ("alter", "told"),
    [
        pytest.param(later_version, ALTERED, id="another version"),
        pytest.param(other_type, ALTERED, id="another type"),
        pytest.param(one_bit("sealed", 0), ALTERED, id="a bit of the initialisation vector"),
        pytest.param(one_bit("sealed", 12), ALTERED, id="the first bit of the ciphertext"),
        pytest.param(one_bit("sealed", -17), ALTERED, id="a bit of its end"),
        pytest.param(one_bit("sealed", -1), ALTERED, id="a bit of the tag"),
        pytest.param(cut_off, ALTERED, id="cut off"),
        pytest.param(one_bit("nonce", 0), REFUSED, id="another nonce"),
        pytest.param(one_bit("challenge", 0), REFUSED, id="another challenge"),
        pytest.param(one_bit("challenge", -1), REFUSED, id="an altered challenge"),
    ],
)
async def test_whoever_alters_anything_in_between_is_noticed(
    running: Running, device: tuple[str, ...], alter: Alter, told: str
) -> None:
    async with between(running, alter) as address:
        status, out, err = await run(*device, *where(address), ID)
    assert (status, out) == (1, "")
    assert told in err


@IN_BOTH
async def test_an_answer_from_before_is_no_answer_now(running: Running, device: tuple[str, ...]) -> None:
    kept: list[Fields] = []

    def replay(path: str, fields: Fields) -> None:
        if "sealed" in fields:
            kept.append(dict(fields))
            fields.update(kept[0])

    async with between(running, replay) as address:
        first = await run(*device, *where(address), ID)
        second = await run(*device, *where(address), ID)
    assert (first[0], second[0], second[1]) == (0, 1, "")
    assert ALTERED in second[2]


def where(address: object) -> tuple[str, str]:
    host, _, port = str(address).partition(" ")[0].rpartition(":")
    return host, port


@contextlib.asynccontextmanager
async def between(running: Running, alter: Alter) -> AsyncIterator[str]:
    """Stand between a device and the gateway, and alter what is answered; yields where."""
    async with aiohttp.ClientSession() as session:

        async def pass_on(request: web.Request) -> web.Response:
            url = f"http://{running.listening.http[0]}{request.path}"
            async with session.post(url, data=await request.read(), headers={"Content-Type": "application/json"}) as response:
                fields = await response.json(content_type=None)
                alter(request.path, fields)
                return web.json_response(fields, status=response.status)

        app = web.Application()
        app.router.add_post("/{path:.*}", pass_on)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            host, port = runner.addresses[0]
            yield f"{host}:{port}"
        finally:
            await runner.cleanup()
