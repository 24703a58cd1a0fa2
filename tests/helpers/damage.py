"""Damage a checkpoint in the ways that a disk or a killed process can."""

from pathlib import Path


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "a bit":
        content[-1000] ^= 1
    if how == "a state":
        content = content.replace(b'\\"epoch\\": 2', b'\\"epoch\\": 1')
    wanted = {"short": content[:-1], "empty": b"", "text": b"not a checkpoint"}
    path.write_bytes(wanted.get(how, content))
