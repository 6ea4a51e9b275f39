"""What is to be estimated: a release, the operators' answers to it, and where earlier answers are to be had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from hub.config import Agreement
from hub.estimation.combine import Combined, combine
from privacy.terms import Terms
from quorate.contract.keyset import Keyset
from quorate.contract.order import TaskOrder, keyset_for
from quorate.contract.payload import decode

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """One operator's contribution.

    Attributes
    ----------
    order
        What was asked, with the operator's name and weights.
    data
        The contribution as it came.
    """

    order: TaskOrder
    data: bytes

    @property
    def operator(self) -> str:
        """Name of the operator."""
        return self.order.operator


#: Answers that are in an estimated release of a product and period (of a revision, or of the last one if it is None);
#: none if there is no such release.
Earlier = Callable[[str, tuple[date, date], int | None], Sequence[Answer]]


@dataclass(frozen=True)
class Question:
    """A release that is to be estimated.

    Attributes
    ----------
    own
        Charter, zoning, register and what else the hub works by.
    answers
        At least one, at most one of each operator, all with the same terms but for their weights.
    earlier
        Gives the answers of other releases.
    """

    own: Agreement
    answers: Sequence[Answer]
    earlier: Earlier

    @property
    def terms(self) -> Terms:
        """What was released."""
        return self.answers[0].order.terms

    @property
    def keyset(self) -> Keyset:
        """The cells of every answer."""
        return keyset_for(self.own.charter, self.own.zoning, self.terms)

    @property
    def days(self) -> tuple[date, date]:
        """First and last local day."""
        return self.terms.first_day, self.terms.last_day

    @property
    def operators(self) -> list[str]:
        """Names of those who answered."""
        return [answer.operator for answer in self.answers]

    def combined(self) -> Combined:
        """Return the sum of all answers, with the levels that were measured reconciled."""
        vectors = [vector_of(self.own, answer) for answer in self.answers]
        return combine(vectors, self.keyset, self.own.zoning, self.terms)

    def each(self) -> list[Combined]:
        """Return every operator's own answer, in the order of the answers."""
        return [counted(self.own, answer) for answer in self.answers]


def vector_of(own: Agreement, answer: Answer) -> NDArray[np.int64]:
    """Return the noised vector of an answer, int64 of shape (cells,)."""
    return decode(answer.data, keyset_for(own.charter, own.zoning, answer.order.terms).size)


def counted(own: Agreement, answer: Answer) -> Combined:
    """Return one operator's answer by zone, with the levels that were measured reconciled."""
    terms = answer.order.terms
    return combine([vector_of(own, answer)], keyset_for(own.charter, own.zoning, terms), own.zoning, terms)
