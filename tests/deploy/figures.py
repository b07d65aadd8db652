"""What Prometheus can be asked of a gateway: its metrics, and the words that their labels may have."""

import ast
import re
from collections.abc import Iterator

from adapters import spoken
from adapters.config import BROKER_USES, SPOKEN, from_environment
from adapters.exchange import Carrier, Success
from adapters.own_addresses import OwnAddresses
from core.errors import Reason
from tests.deploy.units import ROOT

FROM_ELSEWHERE = {"up", "probe_ssl_earliest_cert_expiry"}  # Prometheus' own, the blackbox exporter's
_PARTS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
_NAME = re.compile(r"[a-z_]+")
_WORD = re.compile("absent|abs|by|sum|min|max|count|rate|increase|histogram_quantile|time|topk|and|or|on|offset|group_left")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|=|!=)\s*"((?:[^"\\]|\\.)*)"')


def families(exposition: str) -> dict[str, str]:
    """Return the kind of every metric that a gateway shows, with or without samples."""
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", exposition, re.MULTILINE))


def samples(exposition: str) -> set[str]:
    """Return the names that these metrics have in a question to Prometheus."""
    shown = {name.removesuffix("_total"): kind for name, kind in families(exposition).items()}
    return {name + part for name, kind in shown.items() for part in _PARTS[kind]}


def asked(expression: str) -> set[str]:
    """Return the metrics in an expression."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    bare = re.sub(r"\b(by|on|group_left)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\[[^]]*\]|\{[^}]*\}|\b\d\w*", "", bare)
    return {name for name in _NAME.findall(bare) if not _WORD.fullmatch(name)}


def matchers(expression: str) -> Iterator[tuple[str, str]]:
    """Yield label and pattern of everything that an expression tells apart, each alternative by itself."""
    for label, operator, text in _MATCHER.findall(expression):
        pattern = text.replace("\\\\", "\\") if "~" in operator else re.escape(text)
        for alternative in _alternatives(pattern) if "~" in operator else (pattern,):
            yield label, alternative


def _alternatives(pattern: str) -> list[str]:
    """Split at the bars that stand in no parentheses."""
    found, depth = [""], 0
    for character in pattern:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and not depth:
            found.append("")
        else:
            found[-1] += character
    return found


def words() -> dict[str, set[str]]:
    """Return what the labels of our own metrics can be; for bounds and levels everything that the source spells out."""
    config = from_environment({"FIRSTLIGHT_BROKER_SECRET": "a-secret-of-these-tests"})
    dialects = [spoken.named(name, config, OwnAddresses()) for name in SPOKEN]
    spelled = set(_spelled())
    return {
        "protocol": {carrier.value for carrier in Carrier},
        "dialect": {dialect.NAME for dialect in dialects} | {""},
        "operation": {route.operation for dialect in dialects for route in dialect.ROUTES} | {"login", ""},
        "outcome": {outcome.value for outcome in (*Success, *Reason)} | spelled,
        "bound": spelled | {f"mqtt.{word}" for word in spelled},
        "level": spelled | {f"mqtt.{word}" for word in spelled} | {f"broker.{word}.up" for word in BROKER_USES},
    }


def _spelled() -> Iterator[str]:
    for package in ("adapters", "core", "storage"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 64:
                    yield node.value
