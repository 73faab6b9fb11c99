"""The command line: `revmd app`, `prepare`, `bench`, `sweep`. Starts fast: each command imports what it needs."""

from __future__ import annotations

import argparse
import errno
import socket
import sys
from collections.abc import Sequence

from revmd_app import __version__

PORT = 5006
USAGE_ERROR = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command (by default the one in `sys.argv`) and return the exit status.

    What a user got wrong is told in one sentence on standard error, with status 2.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options, rest = _parser().parse_known_args(arguments)
    if rest and options.run is _app:
        _parser().error(f"'revmd app' does not know {rest[0]!r}; 'revmd app --help' lists what it knows.")
    try:
        return options.run(options, rest) or 0
    except (ValueError, OSError) as error:
        print(f"revmd: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="revmd", description="A rewindable molecular dynamics laboratory.")
    parser.add_argument("--version", action="version", version=f"revmd {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)

    app = commands.add_parser("app", help="open the laboratory in a browser")
    app.add_argument("--port", type=_port, default=PORT, help=f"where to serve it (default {PORT})")
    app.add_argument("--address", default="localhost", help="who may open it (default localhost: this machine only)")
    app.add_argument("--no-browser", action="store_true", help="serve it, but open no browser window")
    app.add_argument(
        "--origin",
        action="append",
        help="host:port of a page that shows it, as behind a proxy ('*': any)",
    )
    app.add_argument("--prefix", default="", help="path under which a proxy shows it")
    app.set_defaults(run=_app)

    # These have options of their own, `--help` among them: everything after the command is theirs.
    prepare = commands.add_parser("prepare", add_help=False, help="build and equilibrate the systems that the labs use")
    prepare.set_defaults(run=_prepare)
    bench = commands.add_parser("bench", add_help=False, help="measure the engine's speed and memory on this machine")
    bench.set_defaults(run=_bench)
    train = commands.add_parser("train", add_help=False, help="train a force field to measurements")
    train.set_defaults(run=_train)
    sweep = commands.add_parser("sweep", add_help=False, help="compute a grid of parameters on all cores or a cluster")
    sweep.set_defaults(run=_sweep)
    evaluate = commands.add_parser("evaluate", add_help=False, help="compare force fields of water with experiment")
    evaluate.set_defaults(run=_evaluate)
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a whole number from 1 to 65535, not '{text}'")
    return int(text)


def _app(options, _) -> None:
    check_free(options.address, options.port)
    from revmd_app.app import serve

    where = {"port": options.port, "address": options.address, "prefix": options.prefix}
    serve(**where, show=not options.no_browser, websocket_origin=options.origin)


def _prepare(_, rest: list[str]) -> int | None:
    from revmd_app.systems.prepare import main as prepare

    return prepare(rest)


def _bench(_, rest: list[str]) -> int | None:
    from revmd_app.bench import main as bench

    return bench(rest)


def _train(_, rest: list[str]) -> int | None:
    from revmd_app.training.command import main as train

    return train(rest)


def _sweep(_, rest: list[str]) -> int | None:
    from revmd_app.sweeps import main as sweep

    return sweep(rest)


def _evaluate(_, rest: list[str]) -> int | None:
    from revmd_app.training.evaluate_command import main as evaluate

    return evaluate(rest)


def check_free(address: str, port: int) -> None:
    """Raise `ValueError` when nothing can be served at the address and port, with the reason and the way out."""
    try:
        places = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ValueError(f"'{address}' is no address of this machine; 'localhost' is, or '0.0.0.0' for all.") from error
    for family, kind, protocol, _, place in places:
        _bind(family, kind, protocol, place, address, port)


def _bind(family, kind, protocol, place, address: str, port: int) -> None:
    """Take the port and let it go again, before the slow imports that would otherwise come first."""
    try:
        trial = socket.socket(family, kind, protocol)
    except OSError:
        return  # a machine without IPv6 still resolves localhost to ::1; the server leaves it out, too
    with trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            trial.bind(place)
            trial.listen(1)
        except OSError as error:
            raise ValueError(_why_not(error, address, port)) from error


def _why_not(error: OSError, address: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use on {address}: stop the program that uses it, or choose another with --port."
    if error.errno == errno.EACCES:
        return f"port {port} needs administrator rights on this machine; choose one from 1024 up with --port."
    return f"'{address}' is no address of this machine; 'localhost' is, or '0.0.0.0' for all."


if __name__ == "__main__":
    sys.exit(main())
