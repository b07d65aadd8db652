import json
import logging

import pytest
import structlog

from adapters import logs
from core.limits import Rate


@pytest.fixture(autouse=True)
def restored_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines_carry_level_time_and_fields(capsys):
    logs.configure("info", "json", 100)
    structlog.get_logger().info("request refused", check="claim.key")
    structlog.get_logger().debug("not shown")
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "request refused"
    assert line["level"] == "info"
    assert line["check"] == "claim.key"
    assert "timestamp" in line


def test_a_traceback_is_one_json_line(capsys):
    logs.configure("info", "json", 100)
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("request failed")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "ValueError: broken" in json.loads(lines[0])["exception"]


def test_console_lines_are_for_people(capsys):
    logs.configure("info", "console", 100)
    structlog.get_logger().warning("a secret was made", file="data/master-key")
    assert "a secret was made" in capsys.readouterr().err


def test_lines_beyond_the_budget_are_left_out_and_counted():
    budget = logs.LineBudget(Rate(0.000001, 1))
    assert budget(None, "info", {"event": "first"}) == {"event": "first"}
    with pytest.raises(structlog.DropEvent):
        budget(None, "info", {"event": "second"})
    assert not budget.admits(logging.makeLogRecord({}))


def test_the_next_line_says_how_many_were_left_out():
    budget = logs.LineBudget(Rate(1_000_000, 1))
    budget._left_out = 3
    assert budget(None, "info", {"event": "next"}) == {"event": "next", "lines_left_out": 3}
