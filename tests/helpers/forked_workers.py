"""Workers without the launcher's minute of imports: each is a fork of a parent that built all."""

import contextlib
import os
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path

PATIENCE = 120  # seconds until workers count as hanging


def start_workers(count: int, work: Callable[[], None], folder: Path) -> list[int]:
    """Fork workers, which write what they say to `folder`/worker-<rank>.txt; their process ids."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = _free_ports(count)
    environment = {
        "PADDLE_TRAINERS_NUM": str(count),
        "PADDLE_TRAINER_ENDPOINTS": ",".join(f"127.0.0.1:{port}" for port in ports),
    }
    started = []
    for rank in range(count):
        child = os.fork()
        if child == 0:
            os.environ.update(environment, PADDLE_TRAINER_ID=str(rank))
            _work(work, folder / f"worker-{rank}.txt")
        started.append(child)
    return started


def _work(work: Callable[[], None], log: Path) -> None:
    status = 1
    with log.open("w") as file:
        os.dup2(file.fileno(), 2)
        try:
            with contextlib.redirect_stdout(file):
                work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            file.flush()
            os._exit(status)


def wait_for(processes: list[int]) -> list[int]:
    """The exit statuses of workers, once all have ended: -9 for one that was killed.

    Raises:
        TimeoutError: they hang; they are killed then.
    """
    deadline, statuses = time.monotonic() + PATIENCE, {}
    while len(statuses) < len(processes):
        for process in processes:
            if process not in statuses:
                done, status = os.waitpid(process, os.WNOHANG)
                if done:
                    statuses[process] = os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            for process in processes:
                if process not in statuses:
                    os.kill(process, 9)
            raise TimeoutError(f"workers hang; those that ended: {statuses}")
        time.sleep(0.02)
    return [statuses[process] for process in processes]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports
