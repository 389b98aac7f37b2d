"""Run the gateway in the foreground until SIGTERM or Ctrl-C: `python -m datalake_assets.sandbox.redshift`."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from datalake_assets.errors import ConfigurationError
from datalake_assets.sandbox.redshift.server import HOST, Gateway


async def _serve(arguments: argparse.Namespace) -> None:
    gateway = Gateway(
        postgres_host=arguments.postgres_host,
        postgres_port=arguments.postgres_port,
        listen_port=arguments.listen_port,
        log_file=arguments.log,
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await gateway.start()
    print(f"redshift gateway ready on {HOST}:{gateway.port}", flush=True)
    await stopping.wait()
    await gateway.stop()


def main() -> int:
    """Parse the command line and serve; 1 if the gateway cannot start."""
    parser = argparse.ArgumentParser(prog="python -m datalake_assets.sandbox.redshift", description=__doc__)
    parser.add_argument("--listen-port", type=int, required=True, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--postgres-host", default=HOST)
    parser.add_argument("--postgres-port", type=int, required=True)
    parser.add_argument("--log", type=Path, help="append every statement, secrets taken out, as JSON lines")
    try:
        asyncio.run(_serve(parser.parse_args()))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
