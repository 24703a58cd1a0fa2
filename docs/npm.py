"""Packages of npm that the pages are made with, each pinned by the hash of its archive."""

import base64
import hashlib
import http.client
import os
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd_model.files import write_file
from utils.paths import ROOT

CACHE = ROOT / "build" / "npm"
SECONDS = 60


class PackageError(OSError):
    """A package that could not be fetched, or that is not the one that was pinned."""


@dataclass(frozen=True)
class Package:
    """A package of npm; `integrity` is the SHA-512 of its archive as npm writes it."""

    name: str
    version: str
    integrity: str

    @property
    def archive(self) -> Path:
        """Where the archive is kept, once it was fetched."""
        return CACHE / f"{self.name}-{self.version}.tgz"

    def read(self, names: Sequence[str]) -> list[bytes]:
        """Some files of the package; it is fetched if that was not done before.

        Raises:
            PackageError: there is no network, or the archive is not the one that was pinned.
        """
        content = self.archive.read_bytes() if self.archive.exists() else b""
        if not self._is_pinned(content):
            content = _download_by_npm(self) if shutil.which("npm") else _download(self)
            if not self._is_pinned(content):
                raise PackageError(
                    f"the registry's {self.archive.name} is not the archive that docs/ pins"
                )
            write_file(self.archive, content)
        with tarfile.open(self.archive) as archive:
            return [archive.extractfile(f"package/{name}").read() for name in names]

    def _is_pinned(self, content: bytes) -> bool:
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        return f"sha512-{digest}" == self.integrity


def _download_by_npm(package: Package) -> bytes:
    """The archive by npm itself, which knows the user's registry, proxy and certificates."""
    folder = CACHE / "packed"
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", f"{package.name}@{package.version}"]
    options = ["--pack-destination", str(folder), "--loglevel=error", "--fetch-retries=1"]
    try:
        done = subprocess.run(
            [*command, *options],
            capture_output=True,
            text=True,
            timeout=5 * SECONDS,
        )
        if done.returncode:
            lines = done.stderr.replace("npm error ", "").splitlines()[:4]
            reason = "; ".join(lines) or f"npm pack ended with {done.returncode}"
            raise PackageError(f"{package.name} could not be fetched: {reason}")
        return (folder / package.archive.name).read_bytes()
    except subprocess.TimeoutExpired as error:
        raise PackageError(
            f"{package.name} could not be fetched: npm pack took too long"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download(package: Package) -> bytes:
    """The archive from the registry that npm's environment variable names, or npm's own."""
    registry = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")
    url = f"{registry}/{package.name}/-/{package.archive.name}"
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response:
            return response.read()
    except (OSError, http.client.HTTPException) as error:
        raise PackageError(f"{url} could not be fetched: {error}") from error
