"""What the MQTT codec alone spends on one request: packets read and written, no sockets."""

import statistics
import time

from adapters.mqtt import encode
from adapters.mqtt.wire import Decoder

CONNECT = b"\x10\x17\x00\x04MQTT\x04\x82\x00\x3c\x00\x00\x00\x09provision"
TOPIC = b"\x00\x12/provision/request"
BODY = b'{"deviceName":"mqtt1-000000001","provisionDeviceKey":"%s","provisionDeviceSecret":"%s"}' % (b"k" * 20, b"s" * 20)
REPLY = b'{"credentialsValue":"Zk3vQ0pR7uWnT1xYb2Lc","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"}'


def codec_seconds(rounds: int = 5, requests: int = 20_000) -> float:
    """Return the processor time of reading a request and its acknowledgement, and of writing an acknowledgement and a reply."""
    length = len(TOPIC) + 2 + len(BODY)
    request = bytes([0x32, length & 0x7F | 0x80, length >> 7]) + TOPIC + b"\x00\x07" + BODY
    costs = []
    for _ in range(rounds):
        decoder = Decoder(65_536)
        list(decoder.feed(CONNECT))
        before = time.process_time()
        for _ in range(requests):
            list(decoder.feed(request))
            list(decoder.feed(b"\x40\x02\x00\x01"))
            encode.puback(4, 7, 0)
            encode.publish(4, "/provision/response", REPLY, packet_id=1)
        costs.append((time.process_time() - before) / requests)
    return statistics.median(costs)
