"""Packages with period keys that the hub relays: one for each product and period, the first that came, for good."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub.database import Database
from hub.errors import NotFound
from hub.models import PeriodKeyPackage, Release
from hub.trail import About, write
from quorate.contract.identity import Identity
from quorate.contract.period_key import KeyScope, PeriodKey


class Packages:
    """Packages of a network; nothing in them can be read here.

    Parameters
    ----------
    database
        The hub's.
    """

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def find(self, scope: KeyScope) -> bytes | None:
        """Return the package that counts, as its maker signed it, if there is one."""
        with self._session(reading=True) as session:
            found = _find(session, scope)
            return found.statement if found else None

    def keep(self, node: Identity, package: PeriodKey, statement: bytes) -> bytes:
        """Keep a package of a node's operator if it is the first one, with its line in the audit trail.

        Parameters
        ----------
        node, package, statement
            Whose package it is, what it says, and as it was signed.

        Returns
        -------
        The package that counts: this one, or the one that came before it.

        Raises
        ------
        NotFound
            If there is no release of this product and period: nobody needs a key.
        """
        try:
            return self._keep(node, package, statement)
        except IntegrityError:
            # Another one came at the same time, over another hub; it is there now.
            return self._keep(node, package, statement)

    def _keep(self, node: Identity, package: PeriodKey, statement: bytes) -> bytes:
        scope = package.scope
        with self._session() as session:
            found = _find(session, scope)
            if found is not None:
                return found.statement
            on = About(release_id=_release_of(session, scope))
            session.add(
                PeriodKeyPackage(
                    charter=scope.charter,
                    product=scope.product,
                    first_day=scope.first_day,
                    last_day=scope.last_day,
                    maker=package.maker,
                    statement=statement,
                )
            )
            write(session, node.uri, "accepted a period key", f"package {package.digest()}", on)
            return statement


def _find(session: Session, scope: KeyScope) -> PeriodKeyPackage | None:
    place = (scope.charter, scope.product, scope.first_day, scope.last_day)
    return session.get(PeriodKeyPackage, place)


def _release_of(session: Session, scope: KeyScope) -> str:
    query = select(Release.release_id).where(
        Release.product == scope.product,
        Release.first_day == scope.first_day,
        Release.last_day == scope.last_day,
    )
    found = session.scalars(query.order_by(Release.revision)).first()
    if found is None:
        raise NotFound(
            f"there is no release of {scope.named()}",
            means="a period key is kept only for what was asked for",
            todo="wait for an order that needs it",
        )
    return found
