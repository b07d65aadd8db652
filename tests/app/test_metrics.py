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


def test_a_level_can_be_asked_for_when_figures_are():
    meter = PrometheusMeter()
    levels = iter((3, 4))
    meter.asked("registry.queue", lambda: next(levels))
    assert 'firstlight_level{level="registry.queue"} 3.0' in meter.exposition().decode()
    assert 'firstlight_level{level="registry.queue"} 4.0' in meter.exposition().decode()


def test_commits_and_hooks_are_told_apart_by_outcome():
    meter = PrometheusMeter()
    meter.commit("committed", 0.004)
    meter.commit("committed", 0.2)
    meter.hook("allowed", 0.3)
    text = meter.exposition().decode()
    assert 'firstlight_commit_seconds_bucket{le="0.005",outcome="committed"} 1.0' in text
    assert 'firstlight_commit_seconds_count{outcome="committed"} 2.0' in text
    assert 'firstlight_hook_seconds_count{outcome="allowed"} 1.0' in text


def test_the_version_is_shown_once_it_is_said():
    meter = PrometheusMeter()
    assert "firstlight_build_info{" not in meter.exposition().decode()
    meter.build("1.2.3", 6)
    assert 'firstlight_build_info{schema="6",version="1.2.3"} 1.0' in meter.exposition().decode()
