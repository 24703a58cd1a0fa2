"""Packages of npm come from the user's registry, and are those that were pinned, or are refused."""

import base64
import hashlib
import io
import tarfile

import pytest

from docs import npm
from docs.npm import Package, PackageError


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry on the disk with `made-up` 1.0.0, used by whoever has no npm; its package."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/dist/a.js")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"let a"))
    path = tmp_path / "registry" / "made-up" / "-" / "made-up-1.0.0.tgz"
    path.parent.mkdir(parents=True)
    path.write_bytes(file.getvalue())
    digest = base64.b64encode(hashlib.sha512(file.getvalue()).digest()).decode()
    monkeypatch.setattr(npm, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(npm.shutil, "which", lambda name: None)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", (tmp_path / "registry").as_uri())
    return path, Package("made-up", "1.0.0", f"sha512-{digest}")


def test_a_package_is_fetched_once(registry):
    path, package = registry
    assert package.read(["dist/a.js"]) == [b"let a"]
    path.unlink()
    assert package.read(["dist/a.js"]) == [b"let a"]


def test_another_package_is_refused_and_not_kept(registry):
    path, package = registry
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(PackageError, match=r"made-up-1\.0\.0\.tgz is not the archive"):
        package.read(["dist/a.js"])
    assert not package.archive.exists()


def test_a_damaged_copy_is_fetched_again(registry):
    _, package = registry
    package.archive.parent.mkdir()
    package.archive.write_bytes(b"half of it")
    assert package.read(["dist/a.js"]) == [b"let a"]


def test_without_a_network_there_is_a_reason(registry):
    path, package = registry
    path.unlink()
    with pytest.raises(PackageError, match=r"made-up-1\.0\.0\.tgz could not be fetched: "):
        package.read(["dist/a.js"])


@pytest.mark.parametrize(
    "script, reason",
    [("echo no such host >&2; exit 1", "no such host"), ("exit 3", "ended with 3")],
)
def test_npms_own_reason_is_told(registry, tmp_path, monkeypatch, script, reason):
    command = tmp_path / "npm"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(npm.shutil, "which", lambda name: str(command))
    with pytest.raises(PackageError, match=f"made-up could not be fetched: .*{reason}"):
        registry[1].read(["dist/a.js"])
