"""Files are told apart by what is in them, not by where they lie."""

import hashlib
import shutil

import pytest

from ssd_model.files import digest_of


@pytest.fixture
def saved(tmp_path):
    """A folder as Paddle 1.x saved it: one file a variable."""
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "conv1_weights").write_bytes(b"1")
    (folder / "conv2_weights").write_bytes(b"2")
    return folder


def test_a_file_by_its_bytes(saved):
    assert digest_of(saved / "conv1_weights") == hashlib.sha256(b"1").hexdigest()


def test_what_is_not_there_is_not_like_an_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        digest_of(tmp_path / "gone")


def test_a_folder_by_its_files_and_their_names(saved, tmp_path):
    first = digest_of(saved)
    assert digest_of(shutil.copytree(saved, tmp_path / "moved")) == first
    (saved / "conv1_weights").write_bytes(b"3")
    assert digest_of(saved) != first
    (saved / "conv1_weights").write_bytes(b"2")
    (saved / "conv2_weights").write_bytes(b"1")
    assert digest_of(saved) != first
