"""A TCP relay that a test can cut: what is behind it is stopped for those who come through it, and for nobody else."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from typing import Literal

CHUNK_BYTES = 65_536
LOCALHOST = "127.0.0.1"
Moment = Literal["before", "answered", "running", "done"]
"""When a request is met: before it is passed on; when its answer comes, which is lost; and for a statement, which is
announced first and run by the client's next message: as that is passed on, or when the answer to that comes.
"""
TURNS: dict[Moment, str] = {"before": "", "answered": "s", "running": "sc", "done": "scs"}
"""Who speaks next, client or server, until the moment has come; a request may come in several pieces."""


class Relay:
    """Passes connections on to a port of this machine, until it is cut.

    A cut relay refuses new connections and breaks the open ones, as a service does that was killed. `mend` listens on
    the same port again.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener: socket.socket | None = None
        self._trigger: tuple[bytes, int] | None = None
        self._moment: Moment = "before"
        self._action: Callable[[], object] = lambda: None
        self._threads: list[threading.Thread] = []
        self.port = 0
        self.mend()

    def cut(self) -> None:
        with self._lock:
            listener, self._listener = self._listener, None
            pairs, self._pairs = self._pairs, []
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept
            listener.close()
        for sides in pairs:
            for side in sides:
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)

    def cut_at(self, text: bytes, *, times: int = 1, loses_answer: bool = False) -> None:
        """Cut by itself when a client has sent `text` that many times.

        The last one never arrives; with `loses_answer` it does, and what is lost is the answer.
        """
        self.act_at(text, lambda: None, moment="answered" if loses_answer else "before", times=times)

    def act_at(self, text: bytes, action: Callable[[], object], *, moment: Moment, times: int = 1) -> None:
        """Call `action` and cut, at this moment of the request with which a client has sent `text` that many times."""
        self._trigger, self._moment, self._action = (text, times), moment, action

    def mend(self) -> None:
        listener = socket.create_server((LOCALHOST, self.port), reuse_port=False)
        self.port = listener.getsockname()[1]
        self._trigger = None
        self._listener = listener
        self._start(self._accept, listener)

    def close(self) -> None:
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((LOCALHOST, self._target_port))
            except OSError:
                client.close()
                continue
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                is_cut = self._listener is not listener
                if not is_cut:
                    self._pairs.append((client, server))
            if is_cut:
                client.close()
                server.close()
                return
            self._start(self._pump, client, server)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        turns: str | None = None  # still to come before the end, once it is near
        try:
            while True:
                for side in select.select([client, server], [], [])[0]:
                    data = side.recv(CHUNK_BYTES)
                    if not data:
                        return
                    if turns is None:
                        turns = TURNS[self._moment] if side is client and self._is_triggered(data) else None
                    elif turns.startswith("c" if side is client else "s"):
                        turns = turns[1:]
                    if turns == "":
                        if self._moment == "running":
                            server.sendall(data)
                        self._action()
                        self.cut()
                        return
                    (server if side is client else client).sendall(data)
        except OSError:
            return
        finally:
            client.close()
            server.close()

    def _is_triggered(self, data: bytes) -> bool:
        with self._lock:
            if self._trigger is None:
                return False
            text, times = self._trigger
            times -= data.count(text)
            self._trigger = (text, times) if times > 0 else None
            return times <= 0
