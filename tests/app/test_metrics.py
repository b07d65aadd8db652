from adapters.exchange import Carrier, Success
from adapters.metrics import PrometheusMeter
from core.errors import Reason


def test_figures_are_exposed_in_prometheus_format():
    meter = PrometheusMeter()
    meter.request(Carrier.HTTP, "thingsboard", "provision", Success.OK, 0.004)
    meter.request(Carrier.HTTP, "thingsboard", "provision", Success.OK, 0.004)
    meter.request(Carrier.COAP, "", "", Reason.NOT_FOUND, 0.001)
    meter.bound("coap.source_rate")
    meter.level("mqtt.connections", 7)
    text = meter.exposition().decode()
    labels = 'dialect="thingsboard",operation="provision",outcome="ok",protocol="http"'
    assert f"firstlight_requests_total{{{labels}}} 2.0" in text
    assert 'firstlight_requests_total{dialect="",operation="",outcome="not_found",protocol="coap"} 1.0' in text
    assert 'firstlight_bounds_total{bound="coap.source_rate"} 1.0' in text
    assert 'firstlight_level{level="mqtt.connections"} 7.0' in text
    assert "firstlight_request_seconds_bucket" in text


def test_two_gateways_in_one_process_do_not_share_figures():
    first, second = PrometheusMeter(), PrometheusMeter()
    first.bound("x")
    assert b'bound="x"' not in second.exposition()
