"""Documents that are built from the arguments of a function, whose mistakes are then those of its caller."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from privacy.errors import UsageProblem

Document = TypeVar("Document", bound=BaseModel)


def built(kind: type[Document], /, **fields: Any) -> Document:
    """Return a document with these fields.

    Raises
    ------
    UsageProblem
        If it cannot have them; names each field and what is wrong with it, without its value.
    """
    try:
        return kind(**fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        problems = "; ".join(": ".join([*map(str, one["loc"]), one["msg"]]) for one in found)
        raise UsageProblem(f"there is no such {kind.__name__.lower()}: {problems}") from error
