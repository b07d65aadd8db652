"""Where the examples are, and systemd's unit files among them, in which one setting may stand several times."""

from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def settings_of(unit: Path) -> dict[str, dict[str, list[str]]]:
    """Return the values of every setting, in order, by section."""
    sections: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in unit.read_text("utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            sections[section][name].append(value)
    return {name: dict(settings) for name, settings in sections.items()}
