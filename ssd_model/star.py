"""The connections between workers, and how workers end together."""

import _thread
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import psutil
from paddle.base import core

PATIENCE = 300
"""Seconds to wait for workers that are still on their way, reading their data."""
SILENCE = 8
"""Seconds after which a machine that answers no more counts as lost."""
LINES = 20
"""Of the log of a worker that is gone: the end of a traceback or of a native stack."""
NO_WORKER = (OSError, ValueError, LookupError, TypeError)
"""What a connection with a stranger comes to."""
RING = 0
"""The `ring_id` by which operators find the other workers."""


class WorkersError(RuntimeError):
    """Workers that do not come together, are lost, or disagree."""


@dataclass(frozen=True)
class Started:
    """A worker that this process has started."""

    process: subprocess.Popen
    log: BinaryIO
    """What it says."""

    def last_words(self) -> str:
        """The signal that has ended it and the last lines of its log, to put after a sentence."""
        with suppress(subprocess.TimeoutExpired):  # it has closed its connection, and ends
            self.process.wait(0.5)
        status = self.process.returncode or 0
        ended = f" ({signal.strsignal(-status)})" if status < 0 else ""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").rstrip().splitlines()[-LINES:]
        return ended + "\n".join([":", *lines] if lines else [])


class Star:
    """The connections of worker 0 to all others, or of another worker to worker 0.

    They show a death at once: the system closes a dead process's end. A message is a line of JSON:
    {"value": ...}, {"end": sentence}, or {"left": true} when all have come to the end of a block.

    Args:
        rank: of this worker.
        size: of the whole group.
        first: address:port at which worker 0 awaits the others.
        started: those of them that this process has started, in order of their ranks from 1.

    Raises:
        WorkersError: they do not come together within `PATIENCE`, or one ends on its way.
    """

    def __init__(self, rank: int, size: int, first: str, started: Sequence[Started] = ()):
        self.rank, self.size, self.started = rank, size, started
        self._name = f"worker {rank} (process {os.getpid()} on {socket.gethostname()})"
        self._inside, self._thread = False, threading.current_thread()
        self._store: core.TCPStore | None = None
        self._lost = ""  # the sentence on a worker that is gone
        self._sending = threading.Lock()
        self._sockets: dict[int, socket.socket] = {}
        self._values: dict[int, queue.SimpleQueue] = {}
        self._host, port = first.rsplit(":", 1)
        (self._find_first if rank else self._wait_for_all)((self._host, int(port)))

    def _wait_for_all(self, address: tuple[str, int]) -> None:
        deadline = time.monotonic() + PATIENCE
        with socket.create_server(address) as server:
            server.settimeout(0.1)
            while missing := set(range(1, self.size)) - self._sockets.keys():
                try:
                    connection = server.accept()[0]
                except TimeoutError:
                    self._check_alive(missing)
                    if time.monotonic() > deadline:
                        names = ", ".join(map(str, sorted(missing)))
                        raise WorkersError(f"no word from worker {names} in {PATIENCE} s") from None
                    continue
                try:
                    self._keep(connection, missing)
                except NO_WORKER:
                    connection.close()

    def _check_alive(self, missing: set[int]) -> None:
        for number, worker in enumerate(self.started, 1):
            if number in missing and worker.process.poll() is not None:
                raise WorkersError(
                    f"worker {number} has ended before it began{worker.last_words()}"
                )

    def _find_first(self, address: tuple[str, int]) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._keep(socket.create_connection(address, SILENCE), {0})
            except NO_WORKER as error:
                if time.monotonic() > deadline:
                    raise WorkersError(
                        f"no word from worker 0, which should be at {address[0]}:{address[1]}, in "
                        f"{PATIENCE} s: {error}"
                    ) from None
                time.sleep(0.2)

    def _keep(self, connection: socket.socket, awaited: set[int]) -> None:
        """Exchange names, then listen until the connection ends.

        Raises:
            NO_WORKER: at its other end is none of those awaited.
        """
        connection.settimeout(SILENCE)
        # A machine that is cut off closes nothing: have the system ask whether it is there.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            ("TCP_KEEPIDLE", SILENCE // 4),
            ("TCP_KEEPINTVL", SILENCE // 4),
            ("TCP_KEEPCNT", 3),
            ("TCP_USER_TIMEOUT", 1000 * SILENCE),
        ):
            if hasattr(socket, option):  # Linux's
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        lines = connection.makefile()
        connection.sendall(_line({"rank": self.rank, "name": self._name}))
        hello = json.loads(lines.readline())
        peer, name = hello["rank"], hello["name"]
        if peer not in awaited:
            raise ValueError(f"worker {peer!r} is not awaited")
        connection.settimeout(None)
        self._sockets[peer], self._values[peer] = connection, queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(peer, name, lines), daemon=True).start()

    def _listen(self, peer: int, name: str, lines) -> None:
        end = ""
        try:
            for line in lines:
                message = json.loads(line)
                if "end" in message:
                    end = message["end"]
                    break
                if "left" in message:
                    # Before the end of worker 0, which may follow at once, is heard of.
                    self._inside = False
                self._values[peer].put(message.get("value"))
        except (ConnectionResetError, ValueError):
            pass  # it died, in the middle of a line perhaps
        except OSError:
            end = f"{name} no longer answers"
        if not end:
            end = f"{name} has died" + (self.started[peer - 1].last_words() if self.started else "")
        self._lost = self._lost or end
        if self.started and self._inside:
            self._tell_all({"end": self._lost}, but=peer)
            if self._thread is threading.main_thread():
                _thread.interrupt_main()  # it may be evaluating; `fail` then says why
        for values in self._values.values():
            values.put(None)  # for `_receive`, which then sees that one is lost
        if self._inside and not self.started:
            self._end(peer)

    def _end(self, lost: int) -> None:
        """End this process: its main thread may wait for the lost worker where no error gets to."""
        if self.rank == 0:
            self._tell_all({"end": self._lost}, but=lost)
        sys.stdout.flush()
        print(f"{self._name} stops: {self._lost}", file=sys.stderr, flush=True)
        os._exit(1)

    def enter(self) -> None:
        """Begin what all go through together.

        Raises:
            WorkersError: they have ended, with a block before.
        """
        if self._lost and self.started:
            raise WorkersError(
                "the workers ended with the run before this one; start Python anew (restart the "
                f"kernel), and the run resumes. That was why they ended: {self._lost}"
            )
        self._inside, self._thread = True, threading.current_thread()
        self._check_lost()

    def _check_lost(self) -> None:
        if self._lost:
            raise WorkersError(self._lost)

    def leave(self) -> None:
        """Wait until all are here; whoever ends after that is not missed."""
        if self.rank == 0:
            for peer in self._values:
                self._receive(peer)
            self._inside = False
            self._tell_all({"left": True})
        else:
            self._tell_all({"value": None})
            self._receive(0)

    def fail(self, error: BaseException) -> None:
        """Tell the others of an error here, unless it is one of theirs that has come here.

        Raises:
            WorkersError: it is, and this process goes on without them.
        """
        with suppress(KeyboardInterrupt):  # of `_listen`, which needs no second one
            time.sleep(1)  # by then it has heard of a death that broke a Program
        self._inside = False
        if self.started and self._lost:
            raise WorkersError(self._lost) from error
        trace = "".join(traceback.format_exception(error))
        self._lost = f"{self._name} failed:\n{trace.rstrip()}"
        self._tell_all({"end": self._lost})

    def connect_gloo(self) -> None:
        """Make the communicator that the operators of `RING` use, unless it is there."""
        if self._store:
            return
        # By itself gloo takes the address of the host's name, which is often this machine's alone.
        own = next(iter(self._sockets.values())).getsockname()[0]
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _interface(own))
        port = self.gather(None if self.rank else free_port())[0]
        self._store = core.TCPStore(self._host, port, self.rank == 0, self.size, SILENCE)
        core.CommContextManager.create_gloo_comm_context(
            self._store, str(RING), self.rank, self.size
        )

    def gather(self, value: Any) -> list:
        """Every worker's value, by rank."""
        if self.rank:
            self._tell_all({"value": value})
            return self._receive(0)
        values = [value] + [self._receive(peer) for peer in range(1, self.size)]
        self._tell_all({"value": values})
        return values

    def _receive(self, peer: int) -> Any:
        value = self._values[peer].get()
        if self._inside:
            self._check_lost()
        return value

    def _tell_all(self, message: dict, but: int | None = None) -> None:
        for peer, connection in self._sockets.items():
            if peer != but:
                try:
                    with self._sending:
                        connection.sendall(_line(message))
                except OSError:
                    pass  # it is gone: `_listen` hears of that


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


def _interface(address: str) -> str:
    """The network interface that has an address of this machine."""
    for name, addresses in psutil.net_if_addrs().items():
        if address in {entry.address for entry in addresses}:
            return name
    raise WorkersError(f"no network interface here has the address {address}")


def _line(message: dict) -> bytes:
    return json.dumps(message).encode() + b"\n"
