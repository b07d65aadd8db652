"""The manifests: of the forms that Kubernetes publishes, at one with each other and with the gateway, and of few rights."""

from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it ships no types
import pytest
import yaml

from tests.deploy import examples
from tests.deploy.units import DEPLOY

FOLDER = DEPLOY / "kubernetes"
OLDEST = "1.27"  # the first that has all that is in use (unhealthyPodEvictionPolicy)
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))


def documents(*files: str) -> list[dict[str, Any]]:
    return [document for file in files for document in yaml.safe_load_all((FOLDER / file).read_text("utf-8"))]


OBJECTS = documents(*KUSTOMIZATION["resources"], "secret.example.yaml")


def one(kind: str, name: str = "firstlight") -> dict[str, Any]:
    """Return the object of this kind and name."""
    (found,) = (each for each in OBJECTS if each["kind"] == kind and each["metadata"]["name"] == name)
    return found


POD = one("Deployment")["spec"]["template"]["spec"]
GATEWAY, MIGRATE = POD["containers"][0], POD["initContainers"][0]


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_an_object_is_of_the_form_that_kubernetes_publishes(each, version):
    kubernetes_validate.validate(each, version, strict=True)


def test_every_file_belongs_to_something():
    named = {FOLDER / name for name in KUSTOMIZATION["resources"]}
    named |= {FOLDER / "kustomization.yaml", FOLDER / "secret.example.yaml"}
    for component in ("monitoring", "connections"):
        folder = FOLDER / "components" / component
        inside = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
        named |= {folder / name for name in ("kustomization.yaml", *inside.get("resources", ()))}
    named.add(FOLDER / "components" / "connections" / "prometheus-adapter.yaml")
    assert set(FOLDER.rglob("*.yaml")) == named


def test_everything_is_in_one_namespace():
    assert KUSTOMIZATION["namespace"] == one("Namespace")["metadata"]["name"] == one("Secret")["metadata"]["namespace"]


def test_selectors_find_the_pods():
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    selectors = [each["spec"]["selector"] for each in OBJECTS if each["kind"] == "Service"]
    selectors += [one(kind)["spec"]["selector"]["matchLabels"] for kind in ("Deployment", "PodDisruptionBudget")]
    selectors += [one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
    selectors += [each["labelSelector"]["matchLabels"] for each in POD["topologySpreadConstraints"]]
    assert len(selectors) == 8
    assert all(selector.items() <= labels for selector in selectors)
    assert one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == one("Deployment")["metadata"]["name"]


def test_ports_are_called_by_names_that_the_gateway_has():
    ports = {port["name"]: port.get("protocol", "TCP") for port in GATEWAY["ports"]}
    for service in (each for each in OBJECTS if each["kind"] == "Service"):
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port.get("protocol", "TCP")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert GATEWAY[probe]["httpGet"]["port"] in ports
    allowed = {
        port["port"]: port.get("protocol", "TCP") for rule in one("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]
    }
    assert allowed == ports


def environment(container: dict[str, Any]) -> dict[str, str]:
    """Return the variables of a container, those of the image included."""
    given = examples.Dockerfile().environment()
    for source in container["envFrom"]:
        given |= one("ConfigMap", source["configMapRef"]["name"])["data"]
    return given | {variable["name"]: variable["value"] for variable in container["env"]}


@pytest.mark.parametrize("container", [GATEWAY, MIGRATE], ids=lambda each: each["name"])
def test_the_settings_are_the_gateways(container, tmp_path):
    config = examples.read(environment(container), tmp_path)
    assert config.database.startswith("postgresql:")


def test_the_gateway_listens_on_the_ports_that_are_declared(tmp_path):
    config = examples.read(environment(GATEWAY), tmp_path)
    devices, operators = config.http
    listens = {"http": devices, "operator": operators, "https": config.https[0], "mqtt": config.mqtt[0]}
    listens |= {"mqtts": config.mqtts[0], "coap": config.coap[0], "coaps": config.coaps[0]}
    assert {port["name"]: port["containerPort"] for port in GATEWAY["ports"]} == {
        name: address.port for name, address in listens.items()
    }
    assert operators.dialects == ("operator", "brokers")


def test_files_that_are_named_are_mounted():
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    keys = {"firstlight": one("Secret")["stringData"].keys(), "firstlight-tls": {"tls.crt", "tls.key"}}
    for container in (GATEWAY, MIGRATE):
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
        files = [Path(value) for value in environment(container).values() if value.startswith("/run/secrets/")]
        assert len(files) == 5
        for file in files:
            assert file.name in keys[mounts[str(file.parent)]["secret"]["secretName"]]
        assert {"/tmp", "/data"} <= mounts.keys()


def test_the_gateway_has_time_to_leave(tmp_path):
    config = examples.read(environment(GATEWAY), tmp_path)
    before = int(GATEWAY["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] > before + config.drain_seconds + config.coap_bounds.drain_seconds
    ready = GATEWAY["readinessProbe"]
    # Load balancers ask, too: what is leaving goes on serving for as long as they take to see it.
    assert before >= ready["periodSeconds"] * ready["failureThreshold"]


def test_an_outage_of_the_database_restarts_nobody():
    assert GATEWAY["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert GATEWAY["readinessProbe"]["httpGet"]["path"] == GATEWAY["startupProbe"]["httpGet"]["path"] == "/readyz"


def test_the_pod_is_restricted():
    """By the rules of https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and a little more."""
    assert one("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert POD["securityContext"]["runAsNonRoot"]
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert examples.Dockerfile().all("USER") == [
        f"{POD['securityContext']['runAsUser']}:{POD['securityContext']['runAsGroup']}"
    ]
    for container in (GATEWAY, MIGRATE):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "limits" in container["resources"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & POD.keys()
    assert POD["automountServiceAccountToken"] is False
    # Otherwise a Service called firstlight-... would set variables that look like settings.
    assert POD["enableServiceLinks"] is False


def test_datagrams_of_a_device_stay_with_one_gateway():
    service = one("Service", "firstlight-udp")["spec"]
    assert {port["protocol"] for port in service["ports"]} == {"UDP"}
    assert (service["externalTrafficPolicy"], service["sessionAffinity"]) == ("Local", "ClientIP")


def test_operators_are_reached_from_inside_alone():
    service = one("Service", "firstlight-operator")["spec"]
    assert service.get("type", "ClusterIP") == "ClusterIP"
    outside = [each["spec"] for each in OBJECTS if each["kind"] == "Service" and each["spec"].get("type") == "LoadBalancer"]
    assert "operator" not in {port["targetPort"] for spec in outside for port in spec["ports"]}


def test_the_autoscaler_with_connections_is_of_its_form():
    component = yaml.safe_load((FOLDER / "components" / "connections" / "kustomization.yaml").read_text("utf-8"))
    ((change,),) = (yaml.safe_load(patch["patch"]) for patch in component["patches"])
    assert (change["op"], change["path"]) == ("add", "/spec/metrics/-")
    scaler = one("HorizontalPodAutoscaler")
    metrics = [*scaler["spec"]["metrics"], change["value"]]
    kubernetes_validate.validate({**scaler, "spec": {**scaler["spec"], "metrics": metrics}}, OLDEST, strict=True)
    metric = change["value"]["pods"]["metric"]
    assert (metric["name"], metric["selector"]["matchLabels"]) == ("firstlight_level", {"level": "mqtt.connections"})


def test_prometheus_asks_a_port_that_is_there():
    monitor = yaml.safe_load((FOLDER / "components" / "monitoring" / "pod-monitor.yaml").read_text("utf-8"))
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in GATEWAY["ports"]}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= one("Deployment")["metadata"]["labels"].items()
