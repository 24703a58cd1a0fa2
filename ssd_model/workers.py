"""Processes that train together: who this one is, and what they tell each other.

`python -m paddle.distributed.launch` starts them, and its environment says who is who. Gradients go
by gloo, from within Programs (`ssd_model.data_parallel`). All else goes through worker 0, to which
every other keeps a connection. It also shows a death at once: the system closes a dead process's
end. Without the launcher there is one worker, and all this does nothing.
"""

import json
import os
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psutil
from paddle.base import core

from ssd_model.place import on_cpu

PATIENCE = 300
"""Seconds to wait for workers that are still on their way, reading their data."""
SILENCE = 8
"""Seconds after which a machine that answers no more counts as lost."""


class WorkersError(RuntimeError):
    """Workers that do not come together, are lost, or disagree."""


def rank() -> int:
    """Which of the workers this process is, from 0."""
    return int(os.environ.get("PADDLE_TRAINER_ID", 0))


def size() -> int:
    """How many workers there are; 1 without the launcher."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM", 1))


def is_first() -> bool:
    """Whether this is worker 0, which evaluates, prints and writes files."""
    return rank() == 0


@contextmanager
def together() -> Iterator[None]:
    """A block that all workers go through, or none: when one fails or dies in it, all others end.

    They end with a sentence that names it, and with its traceback if it has one.

    Raises:
        WorkersError: the workers do not come together within `PATIENCE`, or one is gone.
    """
    if size() == 1:
        yield
        return
    star = _star()
    star.enter()
    try:
        if not star.has_gloo:
            star.connect_gloo()
        yield
        star.leave()
    except BaseException as error:
        star.fail(error)
        raise


def gather(value: Any) -> list:
    """Every worker's value, by rank; JSON can hold it. All workers call this, inside `together`."""
    return [value] if size() == 1 else _star().gather(value)


def once(function: Callable[[], Any]) -> Any:
    """What a function returns in worker 0, which alone calls it; JSON can hold it."""
    return gather(function() if is_first() else None)[0]


def check_same(facts: dict[str, Any]) -> None:
    """See that all workers say the same.

    Raises:
        WorkersError: they don't.
    """
    for other, said in enumerate(gather(facts)):
        for what, value in facts.items():
            if said[what] != value:
                raise WorkersError(
                    f"{what}: {value!r} in worker {rank()}, {said[what]!r} in worker {other}; "
                    "all workers must be given the same"
                )


@cache
def _star() -> "_Star":
    return _Star()


class _Star:
    """The connections of worker 0 to all others, or of another worker to worker 0.

    A message is a line of JSON: {"value": ...}, {"end": sentence}, or {"left": true} when all
    have come to the end of a block.
    """

    def __init__(self):
        if not on_cpu():
            raise WorkersError("several workers train on CPUs only so far: start with PLACE=cpu")
        self.has_gloo = False
        self._name = f"worker {rank()} (process {os.getpid()} on {socket.gethostname()})"
        self._inside = False
        self._lost = ""  # the sentence on a worker that is gone
        self._sending = threading.Lock()
        self._sockets: dict[int, socket.socket] = {}
        self._values: dict[int, queue.SimpleQueue] = {}
        first, *_ = os.environ["PADDLE_TRAINER_ENDPOINTS"].split(",")
        self._host, port = first.rsplit(":", 1)
        (self._wait_for_all if is_first() else self._find_first)((self._host, int(port)))

    def _wait_for_all(self, address: tuple[str, int]) -> None:
        deadline = time.monotonic() + PATIENCE
        with socket.create_server(address) as server:
            while missing := set(range(1, size())) - self._sockets.keys():
                server.settimeout(max(0.1, deadline - time.monotonic()))
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    names = ", ".join(map(str, sorted(missing)))
                    raise WorkersError(f"no word of worker {names} in {PATIENCE} s") from None
                self._keep(connection)

    def _find_first(self, address: tuple[str, int]) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._keep(socket.create_connection(address, SILENCE))
            except OSError as error:
                if time.monotonic() > deadline:
                    raise WorkersError(
                        f"no word of worker 0, which should be at {address[0]}:{address[1]}, in "
                        f"{PATIENCE} s: {error}"
                    ) from None
                time.sleep(0.2)

    def _keep(self, connection: socket.socket) -> None:
        """Exchange names, then listen until the connection ends."""
        connection.settimeout(None)
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
        connection.sendall(_line({"rank": rank(), "name": self._name}))
        hello = json.loads(lines.readline())
        peer = hello["rank"]
        self._sockets[peer], self._values[peer] = connection, queue.SimpleQueue()
        listener = threading.Thread(
            target=self._listen, args=(peer, hello["name"], lines), daemon=True
        )
        listener.start()

    def _listen(self, peer: int, name: str, lines) -> None:
        end = f"{name} has died"
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
        self._lost = end
        if not self._inside:
            return
        if is_first():
            self._tell_all({"end": end}, but=peer)
        # The main thread may wait for the lost worker where no exception reaches it.
        sys.stdout.flush()
        print(f"{self._name} stops: {end}", file=sys.stderr, flush=True)
        os._exit(1)

    def enter(self) -> None:
        self._inside = True
        if self._lost:
            self._inside = False
            raise WorkersError(self._lost)

    def leave(self) -> None:
        """Wait until all are here; whoever ends after that is not missed."""
        if is_first():
            for values in self._values.values():
                values.get()
            self._inside = False
            self._tell_all({"left": True})
        else:
            self._tell_all({"value": None})
            self._values[0].get()

    def fail(self, error: BaseException) -> None:
        """Tell the others of an error here, unless it is one of theirs that has come here."""
        time.sleep(1)  # by then `_listen` has heard of a death that broke a Program, and ends this
        self._inside = False
        trace = "".join(traceback.format_exception(error))
        self._tell_all({"end": f"{self._name} failed:\n{trace.rstrip()}"})

    def connect_gloo(self) -> None:
        # By itself gloo takes the address of the host's name, which is often this machine's alone.
        own = next(iter(self._sockets.values())).getsockname()[0]
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _interface(own))
        port = self.gather(_free_port() if is_first() else None)[0]
        self._store = core.TCPStore(self._host, port, is_first(), size(), SILENCE)
        core.CommContextManager.create_gloo_comm_context(self._store, "0", rank(), size())
        self.has_gloo = True

    def gather(self, value: Any) -> list:
        if not is_first():
            self._tell_all({"value": value})
            return self._values[0].get()
        values = [value] + [self._values[peer].get() for peer in range(1, size())]
        self._tell_all({"value": values})
        return values

    def _tell_all(self, message: dict, but: int | None = None) -> None:
        for peer, connection in self._sockets.items():
            if peer != but:
                try:
                    with self._sending:
                        connection.sendall(_line(message))
                except OSError:
                    pass  # it is gone: `_listen` hears of that


def _interface(address: str) -> str:
    """The network interface that has an address of this machine."""
    for name, addresses in psutil.net_if_addrs().items():
        if address in {entry.address for entry in addresses}:
            return name
    raise WorkersError(f"no network interface here has the address {address}")


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


def _line(message: dict) -> bytes:
    return json.dumps(message).encode() + b"\n"
