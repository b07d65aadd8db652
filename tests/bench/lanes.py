"""Loads a server with provisioning requests over plain sockets, cheaply enough that the server is what is measured."""

import itertools
import selectors
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

HOST = "127.0.0.1"
GIVE_UP_SECONDS = 20


def provisioning_bodies(key: str, secret: str, prefix: str) -> Iterator[bytes]:
    """Yield provisioning requests of ThingsBoard's form, each for a device of another name."""
    tail = f'","provisionDeviceKey":"{key}","provisionDeviceSecret":"{secret}"}}'.encode()
    for number in itertools.count():
        yield b'{"deviceName":"%s%09d' % (prefix.encode(), number) + tail


class Lane(Protocol):
    """One device that asks again as soon as it was answered."""

    socket: socket.socket

    def send(self, body: bytes) -> None:
        """Send a request."""
        ...

    def receive(self) -> int:
        """Read what has come; returns how many requests were answered. Raises `AssertionError` on any other answer."""
        ...


class HttpLane:
    """One connection that is kept alive, one request at a time."""

    window = 1

    def __init__(self, port: int, _number: int) -> None:
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def send(self, body: bytes) -> None:
        """Send a request."""
        head = b"POST /api/v1/provision HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.socket.sendall(head + body)

    def receive(self) -> int:
        """Count one answer once its body is here."""
        self._buffer += self.socket.recv(65536)
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return 0
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return 0
        assert head.startswith(b"HTTP/1.1 200"), self._buffer
        assert b'"SUCCESS"' in body, self._buffer
        self._buffer = b""
        return 1


class CoapLane:
    """One socket with a few confirmable requests on their way, message ids that never repeat within a run."""

    window = 4
    _path = b"\xb3api\x02v1\x09provision\xff"

    def __init__(self, port: int, number: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((HOST, port))
        self._mid = number * 1000

    def send(self, body: bytes) -> None:
        """Send a request."""
        self._mid = (self._mid + 1) & 0xFFFF
        mid = self._mid.to_bytes(2, "big")
        self.socket.send(b"\x42\x02" + mid + mid + self._path + body)

    def receive(self) -> int:
        """Count one piggy-backed 2.01."""
        answer = self.socket.recv(2048)
        assert answer[:2] == b"\x62\x41", answer
        assert b"SUCCESS" in answer, answer
        return 1


class MqttLane:
    """One provisioning connection (MQTT 3.1.1) that publishes at QoS 1."""

    window = 1
    _topic = b"\x00\x12/provision/request"

    def __init__(self, port: int, _number: int) -> None:
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(b"\x10\x17\x00\x04MQTT\x04\x82\x00\x3c\x00\x00\x00\x09provision")
        self.socket.sendall(b"\x82\x18\x00\x01\x00\x13/provision/response\x01")
        greeting = b""
        while len(greeting) < 9:  # CONNACK and SUBACK
            greeting += self.socket.recv(64)
        assert greeting == b"\x20\x02\x00\x00\x90\x03\x00\x01\x01", greeting
        self._buffer = b""

    def send(self, body: bytes) -> None:
        """Send a request."""
        length = len(self._topic) + 2 + len(body)
        self.socket.sendall(bytes([0x32, length & 0x7F | 0x80, length >> 7]) + self._topic + b"\x00\x07" + body)

    def receive(self) -> int:
        """Count one answer, after its acknowledgement; acknowledge it."""
        self._buffer += self.socket.recv(65536)
        answered = 0
        while len(self._buffer) >= 2 and len(self._buffer) >= 2 + self._buffer[1]:
            assert self._buffer[1] < 0x80, self._buffer
            packet, self._buffer = self._buffer[: 2 + self._buffer[1]], self._buffer[2 + self._buffer[1] :]
            if packet[0] >> 4 == 3:
                assert b'"SUCCESS"' in packet, packet
                self.socket.sendall(b"\x40\x02" + packet[23:25])
                answered += 1
        return answered


def load(
    make_lane: Callable[[int, int], Lane],
    lanes: int,
    window: int,
    ports: Sequence[int],
    requests: int,
    bodies: Iterator[bytes],
) -> None:
    """Have this many requests answered; each lane stays with one of the ports, and they are dealt out in turn."""
    with selectors.DefaultSelector() as ready:
        made = [make_lane(ports[number % len(ports)], number) for number in range(lanes)]
        for lane in made:
            ready.register(lane.socket, selectors.EVENT_READ, lane)
        for lane in made * window:
            lane.send(next(bodies))
        unsent, missing = requests - lanes * window, requests
        while missing > 0:  # to the last answer, so that nothing is still under way when the cost is read
            events = ready.select(GIVE_UP_SECONDS)
            assert events, f"{missing} of {requests} answers missing after {GIVE_UP_SECONDS} s"
            for key, _ in events:
                answered = key.data.receive()
                missing -= answered
                for _ in range(min(answered, unsent)):
                    unsent -= 1
                    key.data.send(next(bodies))
        for lane in made:
            lane.socket.close()
