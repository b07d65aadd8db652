import io
import json
from typing import Any

import pytest

from adapters.commands.printable import printable, printable_json, printable_lines
from adapters.commands.show import Screen


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("meter-0042", "meter-0042"),
        ("Zähler 東京 ✓", "Zähler 東京 ✓"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b2J", "\\x9b2J"),
        ("a\r\nb\tc\x00\x7f", "a\\r\\nb\\tc\\x00\\x7f"),
        ("abc\u202etxt.exe", "abc\\u202etxt.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\u2028break", "line\\u2028break"),
        ("lone\udc9bsurrogate", "lone\\udc9bsurrogate"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("[red]markup[/red]", "[red]markup[/red]"),
        ("", ""),
    ],
)
def test_nothing_in_a_text_acts_on_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_line_ends_stay_where_lines_are_wanted() -> None:
    assert printable_lines("a\x1b\nb") == "a\\x1b\nb"


def test_json_means_the_same_afterwards() -> None:
    value = {"name": "a\x1b[2J\x9b2J\u202e\U000e0041é\u2028"}
    text = json.dumps(value, ensure_ascii=False, indent=2)
    shown = printable_json(text)
    assert json.loads(shown) == value
    assert not set("\x1b\x9b\u202e\u2028\U000e0041") & set(shown)
    assert "é" in shown
    assert "\n" in shown


def test_wide_characters_keep_columns_apart() -> None:
    out = io.StringIO()
    Screen(out, out).table(("NAME", "ID"), [("\u6f22\U0001f4a7", "1"), ("abcd", "2")])
    assert out.getvalue() == "NAME  ID\n\u6f22\U0001f4a7  1\nabcd  2\n"


def test_nothing_is_folded_on_a_narrow_terminal(terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    Screen(*terminal).table(("NAME", "ID"), [("long " * 20, "01a1fcdc-c0b8-7cde-acc1-b0aeb5aaa636")])
    assert terminal[0].text().splitlines()[1] == "long " * 20 + "  01a1fcdc-c0b8-7cde-acc1-b0aeb5aaa636"
