"""Run the simulator by itself: ``python -m or_magic.offline --port 4002``. Does I/O."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from decimal import Decimal, InvalidOperation
from pathlib import Path

from or_magic.offline.faults import markdown
from or_magic.offline.server import serve


def _arguments(line: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m or_magic.offline",
        description="OpenRouter's wire protocol on 127.0.0.1, with no model behind it, no key and no bill.",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0, the default, takes a free one")
    parser.add_argument("--pace", type=float, default=0.02, metavar="S", help="seconds between chunks; 0 is full speed")
    parser.add_argument("--replay", type=Path, metavar="DIR", help="serve the recorded bodies of a directory")
    parser.add_argument("--key-limit", type=_usd, metavar="USD", help="limit of the key; who has spent it gets 402")
    parser.add_argument("--local", metavar="MODEL", help="be a plain OpenAI-compatible local server that has MODEL")
    parser.add_argument("--fault", metavar="offline/NAME[:ARG]", help="what every ordinary model does: see the table")
    parser.add_argument("--faults-markdown", action="store_true", help="print the table of faults and exit")
    return parser.parse_args(line)


def _usd(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount of USD")
    return amount


def main(line: list[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM, and return the exit code."""
    arguments = _arguments(line)
    if arguments.faults_markdown:
        sys.stdout.write(markdown())
        return 0
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    try:
        server = serve(
            arguments.port, pace_s=arguments.pace, replay=arguments.replay,
            key_limit_usd=arguments.key_limit, local=arguments.local, fault=arguments.fault,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        print(f"The simulator cannot start: {error}", file=sys.stderr)
        return 1
    with server:
        what = "OpenRouter simulator" if arguments.local is None else "Simulator of a local server"
        print(f"{what} (no model answers here): {server.url}", flush=True)
        while not stop.wait(0.5):  # a signal may have been taken by another thread
            continue
    return 0


if __name__ == "__main__":
    sys.exit(main())
