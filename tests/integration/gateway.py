"""The sandbox's warehouse as a process that can be killed and started."""

import os
import signal

import psutil

from datalake_assets.sandbox.ports import is_listening
from tests.integration.user import Platform


class Gateway:
    """The Redshift gateway's own process."""

    def __init__(self, platform: Platform) -> None:
        self._sandbox = platform.sandbox
        self._port = platform.sandbox.ports["redshift"]

    @property
    def is_running(self) -> bool:
        return is_listening(self._port)

    def kill(self) -> None:
        guard = self._sandbox._children["redshift"]
        for process in psutil.Process(guard.pid).children():
            os.kill(process.pid, signal.SIGKILL)
        self._sandbox.supervisor.stop_child(guard)

    def start(self) -> None:
        child = self._sandbox._start_gateway()
        self._sandbox.supervisor.wait_ready(child, lambda: self.is_running)
