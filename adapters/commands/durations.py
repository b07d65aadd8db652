"""Lengths of time as people write them."""

import argparse
import re

_OVERLAP = "for how long the old one is good still, such as 1h or 7d (default: it is dead at once)"
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d{1,12})([smhdw]?)")


def add_overlap(parser: argparse.ArgumentParser) -> None:
    """Declare `--overlap`, None where it is not given."""
    parser.add_argument("--overlap", type=duration, metavar="TIME", help=_OVERLAP)


def duration(text: str) -> int:
    """Return the seconds of a text such as `90`, `45m`, `1h`, `7d` or `2w`. Raises argparse's own error."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time: write it like 90, 45m, 1h, 7d or 2w")
    return int(match[1]) * _UNITS[match[2]]
