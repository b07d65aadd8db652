"""A plug-in that answers what it should not, over a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.brokers.address import BrokerAddress
from adapters.brokers.dynamic_security.keeper import DynamicSecurity, Terms
from adapters.brokers.dynamic_security.reading import Reader
from adapters.brokers.link import Link
from adapters.watching import Watches
from tests.brokers.logged import Logged
from tests.brokers.ports import HOST
from tests.brokers.security_world import CONTROL, QUICK
from tests.brokers.waiting import beside, until
from tests.operating import Desk

CONNACK = b"\x20\x03\x00\x00\x00"
DENY = b'{"acltype":"publishClientSend","allow":false}'


def published(payload: bytes) -> bytes:
    """Return a PUBLISH of QoS 0 in MQTT 5 on the topic of the answers."""
    topic = f"{CONTROL}/response".encode()
    content = len(topic).to_bytes(2, "big") + topic + b"\x00" + payload
    length = len(content)
    head = bytes([length]) if length < 128 else bytes([length % 128 | 128, length // 128])
    return b"\x30" + head + content


@contextlib.asynccontextmanager
async def plug_in(*answers: bytes) -> AsyncIterator[BrokerAddress]:
    """Listen as a broker that gives these answers in turn, `MARK` standing for the mark of the question."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = list(answers)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, length = await reader.readexactly(2)
                if length > 127:
                    length = length - 128 + 128 * (await reader.readexactly(1))[0]
                body = await reader.readexactly(length)
                if kind == 0x10:
                    writer.write(CONNACK)
                elif kind == 0x82:
                    writer.write(b"\x90\x04" + body[:2] + b"\x00\x01")
                elif kind == 0x32:
                    end = 2 + int.from_bytes(body[:2], "big")
                    writer.write(b"\x40\x02" + body[end : end + 2])
                    mark = body.partition(b'"correlationData":"')[2].partition(b'"')[0]
                    if left:
                        writer.write(published(left.pop(0).replace(b"MARK", mark)))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        yield BrokerAddress(HOST, server.sockets[0].getsockname()[1])


DEFAULTS = b'{"responses":[{"command":"getDefaultACLAccess","correlationData":"MARK","data":{"acls":[' + DENY + b"]}}]}"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([b"no JSON"], "does not answer"),
        ([b"\xff\xfe"], "does not answer"),
        ([b'{"responses":[{"command":"a","correlationData":"MARK","data":{"acls":7}}]}'], "cannot be read"),
        ([b'{"responses":[]}'], "does not answer"),
        ([b'{"responses":[{"command":"getClient","correlationData":"another"}]}'], "does not answer"),
        ([b'{"responses":[{"command":"a","correlationData":"MARK"},{"command":"b"}]}'], "did not answer each"),
        ([b'{"responses":[{"command":"a","correlationData":"MARK","error":"Internal error"}]}'], "Internal error"),
        ([DEFAULTS], "did not answer within"),
        ([DEFAULTS, b'{"responses":[{"command":"listClients","correlationData":"MARK","error":"broken"}]}'], "does not tell"),
    ],
)
async def test_what_cannot_be_is_told_and_begun_again(answers: list[bytes], said: str) -> None:
    desk, log, watches = Desk(), Logged(), Watches()
    logs: Any = log
    async with plug_in(*answers) as address:
        link = Link(address, None, "dynamic-security", logs, patience=QUICK)
        reader = Reader(desk.repository, desk.issuer, desk.permit, ())
        keeper = DynamicSecurity(link, reader, watches, logs, Terms(answer_seconds=0.3))
        async with beside(keeper.run()):
            await until(lambda: log.said(said))
