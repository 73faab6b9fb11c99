"""`.npz` files: written whole, and read as files that other people made. Nothing is pickled or unpickled, and nothing
grows beyond what was expected.
"""

from __future__ import annotations

import io
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from revmd_app.files import write_whole

MOST_ARRAYS = 4096
"""More fields than any file of ours has."""
DAMAGE = (
    *(ValueError, EOFError, KeyError, OSError, RuntimeError, NotImplementedError, OverflowError, MemoryError),
    *(SyntaxError, tokenize.TokenError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""What the readers of zip and npy files raise when bytes are wrong."""


def write_arrays(path: Path, arrays: dict[str, np.ndarray], compressed: bool = False) -> None:
    """Write arrays by name as an `.npz` file that is whole or not there. Raises `OSError` as the system does."""
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, allow_pickle=False, **arrays)
    write_whole(path, stream.getvalue())


def read_arrays(path, at_most: int) -> dict[str, np.ndarray]:
    """Every array of an `.npz` file by name.

    `at_most` bounds the bytes that all of them unpack to: a small file can say that it holds terabytes. Raises
    `ValueError` with the reason when the file is damaged, too large or holds anything but plain arrays, and `OSError`
    when it cannot be opened.
    """
    with Path(path).open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _members(archive, at_most)
        except DAMAGE as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(reason) from error


def _members(archive: zipfile.ZipFile, at_most: int) -> dict[str, np.ndarray]:
    members = archive.infolist()
    size = sum(member.file_size for member in members)
    if len(members) > MOST_ARRAYS or size > at_most:
        raise ValueError(f"it would unpack to {len(members):,} fields of {size:,} bytes, more than such a file has")
    arrays = {}
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("a field is compressed in a way that such a file never is")
        with archive.open(member) as stream:
            content = stream.read(member.file_size + 1)  # what it says of itself need not be true
        if len(content) > member.file_size:
            raise ValueError("a field is longer than the file says")
        arrays[member.filename.removesuffix(".npy")] = _array(content)
    return arrays


def _array(content: bytes) -> np.ndarray:
    """One array of plain numbers or text, whose header may not promise more than there is."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"a field has the unknown version {version}")
    shape, _, dtype = readers[version](stream)
    if dtype.hasobject or dtype.kind not in "biufU":
        raise ValueError("a field holds Python objects, which are never loaded")
    if int(np.prod(shape, dtype=object)) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError("a field is not as long as it says")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
