"""What the hub keeps as files: contributions and estimates by their SHA-256, and pieces of uploads that go on.

A place is an address of fsspec: a directory, or an object store. In a directory a file is there as a whole and on the
disk, or not at all; an object store promises that itself.
"""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import uuid
from collections.abc import Sequence
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from privacy.errors import ResourceProblem, UsageProblem


class Objects:
    """Files of one hub.

    Parameters
    ----------
    address
        A directory, or an address of fsspec, for example `s3://bucket/hub`.

    Raises
    ------
    UsageProblem
        If the address is of a kind that nothing installed here can reach.
    """

    def __init__(self, address: str | Path) -> None:
        if isinstance(address, Path):
            self._files, self._root, self._local = LocalFileSystem(), str(address.resolve()), True
            return
        try:
            self._files, self._root = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise UsageProblem(
                f"files of the hub cannot be kept at {address.rsplit('@', maxsplit=1)[-1]}: {error}",
                todo="correct objects in hub.toml, or install what fsspec needs for this kind of address",
            ) from error
        self._local = isinstance(self._files, LocalFileSystem)

    def put(self, data: bytes) -> str:
        """Keep bytes and return their SHA-256 in hexadecimal; the same again changes nothing.

        Raises
        ------
        ResourceProblem
            If they cannot be kept.
        """
        digest = _digest(data)
        self._write(self._of(digest), [data])
        return digest

    def get(self, digest: str) -> bytes:
        """Return bytes by their SHA-256.

        Raises
        ------
        ResourceProblem
            If they are gone or are not what they were.
        """
        return self._checked(self._of(digest), digest)

    def put_pieces(self, upload: str, name: str, pieces: Sequence[bytes]) -> None:
        """Keep pieces of an upload that follow each other as one file; the name tells their bytes from all others.

        They outlive this process, but the disk is not waited for: what was lost with the machine is found out when
        the upload is put together, and is sent again. What was accepted is never lost: see `put`.
        """
        self._write(self._pieces(upload, name), pieces, durable=False)

    def find_pieces(self, upload: str, name: str) -> bytes:
        """Return a file of pieces as far as it is there: after a failure of the machine not all of it may be."""
        try:
            return bytes(self._files.cat_file(self._pieces(upload, name)))
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise _unusable() from error

    def drop_pieces(self, upload: str) -> None:
        """Give up every piece of an upload; one that another hub puts or drops now may be left for the next sweep."""
        try:
            self._files.rm(posixpath.join(self._root, "pieces", upload), recursive=True)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise _unusable() from error

    def uploads(self) -> list[str]:
        """Return the uploads that have pieces."""
        try:
            found = self._files.ls(posixpath.join(self._root, "pieces"), detail=False)
        except FileNotFoundError:
            return []
        return sorted(posixpath.basename(path.rstrip("/")) for path in found)

    def _of(self, digest: str) -> str:
        return posixpath.join(self._root, "sha256", digest[:2], digest)

    def _pieces(self, upload: str, name: str) -> str:
        return posixpath.join(self._root, "pieces", upload, name)

    def _checked(self, path: str, digest: str) -> bytes:
        data = self._read(path)
        if _digest(data) != digest:
            raise ResourceProblem(
                f"the hub's file {digest} is not what it was",
                todo="restore the hub's files from their backup",
            )
        return data

    def _read(self, path: str) -> bytes:
        try:
            return bytes(self._files.cat_file(path))
        except FileNotFoundError as error:
            raise ResourceProblem(
                f"the hub's file {posixpath.basename(path)} is gone",
                todo="restore the hub's files from their backup",
            ) from error
        except OSError as error:
            raise _unusable() from error

    def _write(self, path: str, parts: Sequence[bytes], *, durable: bool = True) -> None:
        try:
            if self._local:
                # Another hub may drop the directory between two steps.
                _again(_write_local, Path(path), parts, durable=durable)
            else:
                self._files.pipe_file(path, b"".join(parts))
        except OSError as error:
            raise _unusable() from error


_again = Retrying(retry=retry_if_exception_type(FileNotFoundError), stop=stop_after_attempt(10), reraise=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_local(path: Path, parts: Sequence[bytes], *, durable: bool) -> None:
    """Write a file as a whole; a durable one is on the disk then, with its name."""
    _make_directory(path.parent)
    fresh = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(parts)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    if durable:
        _sync(path.parent)


def _make_directory(path: Path) -> None:
    """Make a directory and those above it for this user alone."""
    if path.is_dir():
        return
    _make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable() -> ResourceProblem:
    return ResourceProblem(
        "the hub's files cannot be used now",
        means="nothing was kept",
        todo="look at the disk or the object store of the hub; the call can be repeated",
    )
