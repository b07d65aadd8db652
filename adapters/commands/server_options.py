"""The options by which one who acts as a device says where the gateway is and how to reach it."""

import argparse

from adapters.commands.carriers import PORTS, Server


def add_server(parser: argparse.ArgumentParser, timeout_seconds: float, over: str = "") -> None:
    """Declare `--over`, which must be given where it has no default, `--host`, `--port` and `--timeout`."""
    note = f" (default: {over})" if over else ""
    parser.add_argument("--over", required=not over, default=over, choices=list(PORTS), help=f"the protocol{note}")
    parser.add_argument("--host", default="127.0.0.1", help="where the gateway is (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, help="its port (default: 8080 for http, 5683 for coap, 1883 for mqtt)")
    help_text = f"how long to wait for an answer (default: {timeout_seconds:g})"
    parser.add_argument("--timeout", type=_seconds, default=timeout_seconds, metavar="SECONDS", help=help_text)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare `--json`."""
    parser.add_argument("--json", action="store_true", help="print the answer as one line of JSON, whatever it is")


def server_from(args: argparse.Namespace) -> Server:
    """Return the server that was named."""
    return Server(args.over, args.host, args.port or PORTS[args.over], args.timeout)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"not a port: {text}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError(f"not a number above 0, at most 3600: {text}")
    return number
