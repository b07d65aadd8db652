"""Alerts and dashboard: they ask for what a gateway shows, and the alerts go off when they should, and else do not."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import yaml

from tests.deploy import figures
from tests.deploy.units import DEPLOY
from tests.e2e.gateways import opened
from tests.protocols.scenario_cast import needs

PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = json.loads((DEPLOY / "grafana" / "firstlight.json").read_text("utf-8"))
RULES = [rule for group in yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text("utf-8"))["groups"] for rule in group["rules"]]
EXPRESSIONS = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    },
}
CHECKED = {"protocol", "dialect", "operation", "outcome", "bound", "level"}
JOBS = {"firstlight", "firstlight-tls", "$job"}


async def test_every_metric_that_is_asked_for_is_one_that_a_gateway_shows(tmp_path):
    async with opened(tmp_path) as running, aiohttp.ClientSession() as session:
        base = f"http://{running.listening.http[0]}"
        async with session.get(f"{base}/v1/profiles"), session.get(f"{base}/metrics") as answer:
            shown = await answer.text()
    known = figures.samples(shown) | figures.FROM_ELSEWHERE
    assert "firstlight_requests_total" in known
    unknown = {name: figures.asked(expression) - known for name, expression in EXPRESSIONS.items()}
    assert {name: metrics for name, metrics in unknown.items() if metrics} == {}
    assert all(figures.asked(expression) for expression in EXPRESSIONS.values())


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """The words that labels may have."""
    return figures.words()


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_what_is_told_apart_exists(name, known):
    for label, pattern in figures.matchers(EXPRESSIONS[name]):
        if label in CHECKED:
            assert any(re.fullmatch(pattern, word) for word in known[label]), f"{label}: {pattern}"
        elif label == "job":
            assert pattern.replace("\\", "") in JOBS
        else:
            assert label == "instance"


def test_every_alert_says_what_is_wrong_and_what_to_do():
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "runbook"}
        assert all(len(text) > 20 for text in rule["annotations"].values())


def test_the_dashboard_is_one():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    cells = [(x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    declared = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(panels)))
    assert used - {"__rate_interval"} <= declared
    for panel in panels:
        assert panel["type"] == "row" or panel["targets"]


@needs("promtool")
def test_prometheus_reads_rules_and_configuration():
    for kind, file in (("rules", "alerts.yaml"), ("config", "prometheus.yaml")):
        told = subprocess.run(("promtool", "check", kind, PROMETHEUS / file), capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr


class Scene(NamedTuple):
    """Some hours of figures, and the alerts that are on at the end of them."""

    name: str
    series: dict[str, str]
    alerts: set[str]
    minutes: int = 30


def requests(outcome: str, operation: str = "provision", protocol: str = "http") -> str:
    labels = f'instance="a",protocol="{protocol}",dialect="thingsboard",operation="{operation}",outcome="{outcome}"'
    return f'firstlight_requests_total{{job="firstlight",{labels}}}'


def bound(name: str) -> str:
    return f'firstlight_bounds_total{{job="firstlight",instance="a",bound="{name}"}}'


def level(name: str) -> str:
    return f'firstlight_level{{job="firstlight",instance="a",level="{name}"}}'


def hooks(outcome: str) -> str:
    return f'firstlight_hook_seconds_count{{job="firstlight",instance="a",outcome="{outcome}"}}'


def commits(outcome: str) -> str:
    return f'firstlight_commit_seconds_count{{job="firstlight",instance="a",outcome="{outcome}"}}'


def committed(le: str) -> str:
    return f'firstlight_commit_seconds_bucket{{job="firstlight",instance="a",outcome="committed",le="{le}"}}'


def build(instance: str, version: str) -> str:
    return f'firstlight_build_info{{job="firstlight",instance="{instance}",version="{version}",schema="6"}}'


def bucket(le: str) -> str:
    labels = 'instance="a",protocol="coap",dialect="thingsboard",operation="provision"'
    return f'firstlight_request_seconds_bucket{{job="firstlight",{labels},le="{le}"}}'


UP = {'up{job="firstlight",instance="a"}': "1x1600"}
CERTIFICATE = 'probe_ssl_earliest_cert_expiry{job="firstlight-tls",instance="a"}'
SCENES = (
    Scene(
        "all is well",
        {
            requests("ok"): "0+600x40",
            requests("malformed"): "0+60x40",
            requests("unavailable"): "0+1x40",
            bound("coap.source_rate"): "0+10x40",
            bound("requests.draining"): "0+600x40",
            level("mqtt.connections"): "5000x40",
            level("broker.events.up"): "1x40",
            level("replicas.up"): "1x40",
            level("replicas.seen"): "1x40",
            level("replicas.clock_ahead_seconds"): "-1x40",
            hooks("allowed"): "0+60x40",
            hooks("refused"): "0+60x40",
            bucket("0.1"): "0+600x40",
            bucket("+Inf"): "0+600x40",
            CERTIFICATE: "7776000x40",
            level("tls.certificate_expires"): "7776000x40",
            level("ready"): "1x40",
            level("requests.pending"): "200x40",
            level("registry.queue"): "200x40",
            commits("committed"): "0+600x40",
            commits("conflict"): "0+60x40",
            commits("unavailable"): "0+1x40",
            committed("0.025"): "0+600x40",
            committed("+Inf"): "0+600x40",
            build("a", "1"): "1x40",
            build("b", "1"): "1x40",
        },
        set(),
    ),
    Scene("nobody answers", {'up{job="firstlight",instance="a"}': "0x40"}, {"FirstlightNone", "FirstlightDown"}),
    Scene("nobody is there", {'up{job="firstlight",instance="a"}': "_x40"}, {"FirstlightNone"}),
    Scene("one of two", {'up{job="firstlight",instance="b"}': "0x40"}, {"FirstlightDown"}),
    Scene("not ready", {level("ready"): "0x40"}, {"FirstlightUnready"}),
    Scene("a moment without a database", {level("ready"): "1x28 0 1x20"}, set()),
    Scene(
        "commits are refused",
        {commits("unavailable"): "0+6x40", commits("committed"): "0+60x40"},
        {"FirstlightRegistryRefuses"},
    ),
    Scene(
        "a slow disk",
        {committed("0.5"): "0+1x40", committed("1.0"): "0+60x40", committed("+Inf"): "0+60x40"},
        {"FirstlightRegistrySlow"},
    ),
    Scene("a crowd", {level("requests.pending"): "1900x40"}, {"FirstlightCrowded"}),
    Scene("two versions, for a while", {build("a", "1"): "1x100", build("b", "2"): "1x100"}, set(), 90),
    Scene("two versions", {build("a", "1"): "1x200", build("b", "2"): "1x200"}, {"FirstlightVersions"}, 180),
    Scene("no registry", {requests("unavailable"): "0+60x40", requests("ok"): "0+60x40"}, {"FirstlightUnavailable"}),
    Scene("a fault of ours", {requests("internal"): "0x25 1x20", requests("ok"): "0+600x40"}, {"FirstlightInternal"}),
    Scene("too much work", {bound("requests.pending"): "0+60x40"}, {"FirstlightSaturated"}),
    Scene("too many connections", {bound("mqtt.connections"): "0+30x40"}, {"FirstlightSaturated"}),
    Scene("a noisy source", {bound("coap.source_rate"): "0+600x60"}, {"FirstlightBoundHit"}, 50),
    Scene("guesses", {bound("lockout.identity"): "0x10 1x40"}, {"FirstlightGuessing"}),
    Scene("too many wait for approval", {bound("approvals.waiting"): "0+1x40"}, {"FirstlightApprovalsFull"}),
    Scene("a wrong claim key", {requests("malformed"): "0+60x60", requests("ok"): "0+6x60"}, {"FirstlightRefusals"}, 50),
    Scene("a quiet fleet, mostly refused", {requests("malformed"): "0x30 1x30"}, set(), 50),
    Scene("the line stands still", {requests("created"): "0+1x1440 1440x240"}, {"FirstlightNoProvisions"}, 1560),
    Scene("slow", {bucket("1.0"): "0+1x40", bucket("2.5"): "0+60x40", bucket("+Inf"): "0+60x40"}, {"FirstlightSlow"}),
    Scene("nearly full", {level("mqtt.connections"): "90000x40"}, {"FirstlightConnections"}),
    Scene(
        "another gateway publishes the events",
        {level("broker.events.up"): "0x40", level("broker.events.up").replace('"a"', '"b"'): "1x40"},
        set(),
    ),
    Scene("no broker for events", {level("broker.events.up"): "0x40"}, {"FirstlightBrokerLink"}),
    Scene("no broker", {level("broker.requests.up"): "0x40"}, {"FirstlightBrokerLink"}),
    Scene("not told of others", {level("replicas.up"): "0x40"}, {"FirstlightReplicasApart"}),
    Scene(
        "alone among two",
        {'up{job="firstlight",instance="b"}': "1x40", level("replicas.seen"): "1x40"},
        {"FirstlightReplicasUnseen"},
    ),
    Scene("late", {level("replicas.clock_ahead_seconds"): "-9x40"}, {"FirstlightClock"}),
    Scene("no upstream", {bound("mqtt.upstream_unreachable"): "0+6x40"}, {"FirstlightUpstream"}),
    Scene("no hook", {hooks("slow"): "0+6x40", hooks("allowed"): "0+6x40"}, {"FirstlightHook"}),
    Scene("an old certificate at the proxy", {CERTIFICATE: "864000x100"}, {"FirstlightCertificate"}, 90),
    Scene("an old certificate", {level("tls.certificate_expires"): "864000x100"}, {"FirstlightCertificate"}, 90),
)


def test_every_alert_goes_off_in_some_scene():
    assert set().union(*(scene.alerts for scene in SCENES)) == {rule["alert"] for rule in RULES}


@needs("promtool")
@pytest.mark.parametrize(("interval", "hours"), [("1m", range(24)), ("5m", range(24, 48))], ids=["hours", "days"])
def test_alerts_go_off_when_they_should(interval, hours, tmp_path):
    scenes = [told(scene) for scene in SCENES if scene.minutes // 60 in hours]
    files = {"rule_files": [str(PROMETHEUS / "alerts.yaml")], "evaluation_interval": interval, "tests": scenes}
    (tmp_path / "scenes.yaml").write_text(json.dumps(files))
    command = ("promtool", "test", "rules", tmp_path / "scenes.yaml")
    played = subprocess.run(command, capture_output=True, text=True, check=False)
    assert scenes
    assert played.returncode == 0, played.stdout + played.stderr


def told(scene: Scene) -> dict[str, Any]:
    """Write a scene as promtool wants it, figures every minute."""
    series = UP | scene.series
    question = {
        "expr": 'sum by (alertname) (min by (alertname, instance) (ALERTS{alertstate="firing"}))',
        "eval_time": f"{scene.minutes}m",
        "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(scene.alerts)],
    }
    return {
        "name": scene.name,
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [question],
    }


def test_a_question_is_taken_apart_as_prometheus_would():
    question = 'sum by (a, le) (rate(one_total{x=~"a\\\\.b|c",y!="d"}[5m] offset 1d)) > 0.01 * two_count and absent(up == 1)'
    assert figures.asked(question) == {"one_total", "two_count", "up"}
    assert list(figures.matchers(question)) == [("x", "a\\.b"), ("x", "c"), ("y", "d")]


def test_the_files_are_where_prometheus_and_grafana_look_for_them():
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text("utf-8"))
    assert [Path(name).name for name in configuration["rule_files"]] == ["alerts.yaml"]
    assert {job["job_name"] for job in configuration["scrape_configs"]} == JOBS - {"$job"}
