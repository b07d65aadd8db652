"""The commands that the examples run or tell people to run: each is one that the command line has."""

import re

import pytest
import yaml

from adapters.cli import build_parser
from tests.deploy.units import DEPLOY, settings_of

RUN = {
    f"{unit.name} {index}": command.split()[1:]
    for unit in sorted((DEPLOY / "systemd").iterdir())
    for name in ("ExecStart", "ExecStartPre")
    for index, command in enumerate(settings_of(unit).get("Service", {}).get(name, ()))
}
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text("utf-8"))["services"]
POD = yaml.safe_load((DEPLOY / "kubernetes" / "deployment.yaml").read_text("utf-8"))["spec"]["template"]["spec"]
RUN |= {f"compose {name}": service["command"] for name, service in COMPOSE.items() if "command" in service}
RUN |= {f"kubernetes {each['name']}": each["args"] for each in POD["initContainers"]}
NOUNS = "serve|check|event|explain|profile|approval|device|tls|migrate|backup|enroll|key|token|config"
TOLD = re.compile(rf"firstlight ((?:{NOUNS})(?: [a-z]+)?)\b")


@pytest.mark.parametrize("arguments", RUN.values(), ids=RUN)
def test_a_command_that_is_run_is_understood(arguments):
    assert callable(build_parser().parse_args(arguments).run)


@pytest.mark.parametrize("file", ["README.md", "prometheus/alerts.yaml"])
def test_a_command_that_people_are_told_is_there(file, capsys):
    told = TOLD.findall((DEPLOY / file).read_text("utf-8"))
    assert told
    for words in told:
        with pytest.raises(SystemExit):
            build_parser().parse_args([*words.split(), "--help"])
        assert capsys.readouterr().out.startswith(f"usage: firstlight {words.split()[0]}")
