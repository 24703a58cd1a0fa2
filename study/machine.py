"""The machine that timings were taken on."""

import platform
import re
from pathlib import Path

from ssd_model import runtime


def machine() -> str:
    """What the timings were taken on."""
    model = "unknown processor"
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        names = re.findall(r"^model name\s*: (.*)$", cpuinfo.read_text(), re.M)
        model = names[0] if names else model
    return f"{model}, {runtime.cores()} cores, {platform.system()} {platform.machine()}"
