"""Make the settings that Paddle needs before it is imported, and two that it needs after.

Importing `utils` or `pruning` calls `prepare()`. Each setting is harmless where it does not apply,
and a value that the user has already set in the environment is left alone.
"""

import contextlib
import ctypes
import io
import os
import platform
import sys
import warnings
from importlib.metadata import distributions
from pathlib import Path

SUPPORTED_PYTHON = ((3, 11), (3, 12), (3, 13))

# mallopt's parameter numbers, from glibc's malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
MIB = 1 << 20


def cores() -> int:
    """Count the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_amd() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "AuthenticAMD" in cpuinfo.read_text()


def _for_gpus() -> bool:
    """Whether Programs may run on a GPU, as far as is known before Paddle is imported."""
    installed = any(True for _ in distributions(name="paddlepaddle-gpu"))
    return installed and not os.environ.get("PLACE")


def _set_environment() -> None:
    settings = {
        # Static Programs and paddleslim's Pruner know only the old intermediate representation.
        "FLAGS_enable_pir_api": "0",
        # One maths thread per core; on a CPU, the executor's own threads would compete with them.
        "OMP_NUM_THREADS": str(cores()),
        # Keep Paddle's start-up notices out of the notebooks; its warnings and errors stay.
        "GLOG_minloglevel": "1",
        # Where workers meet: libuv's server aborts a process that is ending when another one ends.
        "FLAGS_tcp_store_using_libuv": "0",
        # ONNX Runtime reports to its maker what it runs, unless it is told not to before it starts.
        "ORT_DISABLE_TELEMETRY": "1",
    }
    if not _for_gpus():
        settings["FLAGS_new_executor_serial_run"] = "1"
    if _is_amd():
        # The MKL inside Paddle takes its slow path on AMD unless told that there is AVX2.
        settings["MKL_DEBUG_CPU_TYPE"] = "5"
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def _keep_freed_memory() -> None:
    """Let glibc keep freed memory: each training step frees and requests the same blocks."""
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(M_MMAP_THRESHOLD, 32 * MIB)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(M_TOP_PAD, 256 * MIB)
    mallopt(M_ARENA_MAX, 1)


def return_freed_memory() -> None:
    """Have glibc give back what it keeps, when nothing follows that would ask for it at once."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _silence_known_notices() -> None:
    """Drop, by their exact text, warnings that no reader of this project can act on."""
    for message in (
        "No ccache found",  # Paddle looks for a compiler cache that it won't use
        "Setuptools is replacing distutils",  # paddleslim's import order
        "pkg_resources is deprecated",  # paddleslim uses it
        # Paddle 1.x broadcast differently; nothing here relies on it.
        r"[\s\S]*The behavior of expression A . B has been unified",
        # The old static functions are what this project stands on.
        r"[\s\S]*API \"paddle.static.nn.common.conv2d\" is deprecated",
    ):
        warnings.filterwarnings("ignore", message)


def _told(kind: type[Exception], sentence: str) -> BaseException:
    """An error that ends a script with a sentence, and that a notebook shows below the cell."""
    return (kind if "ipykernel" in sys.modules else SystemExit)(sentence)


def _import_paddle() -> None:
    """Import paddle, and drop its two-line warning against the OMP_NUM_THREADS that we chose."""
    heard = io.StringIO()
    try:
        with contextlib.redirect_stderr(heard):
            import paddle
    except ImportError as error:
        if "libgomp" not in str(error):
            raise
        sentence = "Paddle needs libgomp, which is not installed: apt-get install libgomp1"
        raise _told(ImportError, sentence) from None
    finally:
        lines = heard.getvalue().splitlines(keepends=True)
        sys.stderr.writelines(line for line in lines if "OMP_NUM_THREADS" not in line)
    paddle.enable_static()
    # Paddle's own handler would print a page of "FatalError" when a kernel is shut down.
    paddle.disable_signal_handler()


def python_fault() -> str:
    """Say in a sentence what is wrong with this Python; empty if nothing is. `make` asks, too."""
    version = sys.version_info[:2]
    if version in SUPPORTED_PYTHON:
        return ""
    *others, last = (f"{major}.{minor}" for major, minor in SUPPORTED_PYTHON)
    fault = f"Python {version[0]}.{version[1]} is not supported: use {', '.join(others)} or {last}"
    if version > SUPPORTED_PYTHON[-1]:
        fault += ". A later one can follow when paddlepaddle publishes a wheel for it"
    return fault


def prepare() -> None:
    """Set the process up for Paddle's static Programs, and import paddle. Safe to call twice.

    Raises:
        RuntimeError: this project is not tested with this Python, or paddle was already imported
            with other settings.
        SystemExit: Paddle cannot be loaded, or PLACE in the environment is not a place; in a
            notebook, ImportError and ValueError instead.
    """
    if python_fault():
        raise RuntimeError(python_fault())
    if "paddle" in sys.modules and os.environ.get("FLAGS_enable_pir_api") != "0":
        raise RuntimeError("paddle was imported before utils: restart, and `import utils` first")
    _set_environment()
    _keep_freed_memory()
    _silence_known_notices()
    _import_paddle()
    from ssd_model.place import cpu_wanted  # needs paddle

    try:
        cpu_wanted()
    except ValueError as error:
        raise _told(ValueError, str(error)) from None
