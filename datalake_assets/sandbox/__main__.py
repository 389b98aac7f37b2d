"""`python -m datalake_assets.sandbox --state FOLDER`: hold a sandbox until SIGTERM or Ctrl-C.

`datalake sandbox start` runs it in the background and reads from `--report-fd` one line of JSON: `{"ready": true}`
or `{"error": "…"}`.
"""

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from datalake_assets.errors import PlatformError
from datalake_assets.sandbox.sandbox import Sandbox, ports_from

CHECK_SECONDS = 1.0


def hold(sandbox: Sandbox, stopping: threading.Event) -> None:
    """Watch a started sandbox until it is told to stop.

    Raises:
        Unavailable: a server has ended by itself; the message has its last words.
    """
    while not stopping.wait(CHECK_SECONDS):
        sandbox.check()


def stop_on_signals() -> threading.Event:
    """The event that SIGTERM, SIGINT and SIGHUP set from now on."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def main() -> int:
    """Start, report, hold, stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port-base", type=int)
    parser.add_argument("--report-fd", type=int, required=True)
    options = parser.parse_args()
    stopping = stop_on_signals()
    ports = ports_from(options.port_base) if options.port_base else None
    sandbox = Sandbox(options.state, ports=ports, echo=lambda text: print(f"alert: {text}", flush=True))
    with os.fdopen(options.report_fd, "w") as report:
        try:
            sandbox.start()
        except PlatformError as error:
            report.write(json.dumps({"error": str(error)}))
            return 1
        report.write(json.dumps({"ready": True}))
    try:
        hold(sandbox, stopping)
    except PlatformError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    finally:
        sandbox.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
