"""Documents as bytes: canonical JSON (RFC 8785), hashed as they are, read strictly."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError

from privacy.errors import UsageProblem


def digest(data: bytes) -> str:
    """Return SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    """Return the canonical JSON (RFC 8785) of a JSON value.

    Raises
    ------
    UsageProblem
        If it has a number without a canonical form.
    """
    try:
        return rfc8785.dumps(value)
    except ValueError as error:
        raise UsageProblem("a number has no canonical form") from error


class Document(BaseModel):
    """A document that parties agree on: immutable, without unknown fields, one canonical form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_bytes(self) -> bytes:
        """Return canonical JSON (RFC 8785)."""
        return rfc8785.dumps(self.model_dump(mode="json"))

    def digest(self) -> str:
        """Return SHA-256 of the canonical bytes, in hexadecimal."""
        return digest(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Read a document.

        Parameters
        ----------
        data
            UTF-8 JSON.
        where
            What it is called in an error: a file, or a message.

        Raises
        ------
        UsageProblem
            If it is malformed; says at which field.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise UsageProblem(
                f"{where} is not a valid {cls.__name__.lower()}: {first_problem(error)}",
                todo="correct it, or get the document again from the party that issued it",
            ) from error

    @classmethod
    def from_wire(cls, data: bytes, where: str) -> Self:
        """Read a document that somebody else hashed: only its one canonical form is accepted.

        Raises
        ------
        UsageProblem
            If it is malformed, or has another form.
        """
        document = cls.from_bytes(data, where)
        try:
            canonical = document.to_bytes()
        except ValueError as error:
            raise UsageProblem(f"{where} has a number without a canonical form") from error
        if canonical != data:
            raise UsageProblem(f"{where} is not in canonical form")
        return document

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a document from a file (UsageProblem if missing or malformed)."""
        return cls.from_bytes(read_bytes(path), str(path))


def first_problem(error: ValidationError) -> str:
    """Return the first problem of a validation as `field: message`, without the offending value."""
    first = error.errors(include_url=False, include_input=False)[0]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    place = ".".join(str(part) for part in first["loc"])[:100] or "document"
    return f"{place!r}: {first['msg'][:200]}{more}"


def read_bytes(path: Path) -> bytes:
    """Read a configuration file or document (UsageProblem if it cannot be read)."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageProblem(
            f"{path} cannot be read: {error.strerror}", todo="check the path and the permissions"
        ) from error
