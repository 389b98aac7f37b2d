"""Ports of 127.0.0.1: who has one, and which are free."""

import random
import socket
from collections.abc import Iterable

from datalake_assets.errors import Unavailable

LOCALHOST = "127.0.0.1"
SERVICES = {"postgres": "PostgreSQL", "aws": "AWS", "redshift": "the Redshift gateway", "inbox": "the alert inbox"}
# Below the ports that systems take for outgoing connections: nobody has one by chance.
DEFAULT_PORT_BASE = 27_431
TEST_PORTS = (20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody has now, from where the system takes none for outgoing connections."""
    found: set[int] = set()
    while len(found) < count:
        port = random.randrange(*TEST_PORTS)
        try:
            _try(port)
        except OSError:
            continue
        found.add(port)
    return sorted(found)


def ports_from(base: int) -> dict[str, int]:
    """Consecutive ports for all services."""
    return {name: base + offset for offset, name in enumerate(SERVICES)}


def any_free_ports() -> dict[str, int]:
    """A free port for each service, for tests."""
    return dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))


def is_listening(port: int) -> bool:
    """True if a TCP connection to the port is accepted."""
    try:
        socket.create_connection((LOCALHOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def require_free(ports: Iterable[tuple[str, int]]) -> None:
    """Raise `Unavailable` for the first port, given with what it is for, that another process listens on."""
    for purpose, port in ports:
        try:
            _try(port)
        except OSError as error:
            raise Unavailable(
                f"port {port}, which is for {purpose}, is in use by {_owner(port)}",
                where=LOCALHOST,
                expected="a free port",
                todo="Stop that process, or choose other ports with `datalake sandbox start --port-base N`",
            ) from error


def _try(port: int) -> None:
    with socket.socket() as probe:
        # As the servers themselves bind: a connection that lingers after its server's end is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOCALHOST, port))


def _owner(port: int) -> str:
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                process = psutil.Process(connection.pid)
                command = " ".join(process.cmdline())[:120] or process.name()
                return f"process {connection.pid} ({command})"
    except psutil.Error:
        pass  # another user's process: its port shows, its name does not
    return "another process"
