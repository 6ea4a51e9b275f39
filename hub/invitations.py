"""One-time tokens: an invitation is for one identity, ends, and is spent by one request."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from hub.certificates import ENROLLED, add_certificate, lock_revocations, require_not_revoked
from hub.database import Database, in_utc
from hub.errors import Conflict, NotAllowed
from hub.identity_models import Invitation
from hub.requests import Request, read_request, require_asks_for
from quorate.contract.chain import parse_chain
from quorate.contract.identity import Identity, parse_identity

_TOKEN_BYTES = 32


class Invitations:
    """Tokens of a network; only their hash is kept.

    Parameters
    ----------
    database
        The hub's.
    """

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def invite(self, identity: Identity, life: timedelta) -> tuple[str, datetime]:
        """Return a new token for an identity, and when it ends. It cannot be read again."""
        token, ends = secrets.token_urlsafe(_TOKEN_BYTES), datetime.now(UTC) + life
        with self._session() as session:
            session.add(Invitation(token_sha256=_hash(token), identity=identity.uri, expires_at=ends))
        return token, ends

    def spend(
        self, token: str, request: bytes, certify: Callable[[Request], bytes]
    ) -> tuple[bytes, Identity]:
        """Exchange a token for a chain; the same request again gets the same chain.

        Parameters
        ----------
        token, request
            As they were sent.
        certify
            Makes a chain for a request that was found to be in order.

        Raises
        ------
        NotAllowed
            If there is no such token, or its time is over.
        UsageProblem
            If the request is malformed or asks for another identity; the token is not spent.
        Conflict
            If the token was spent by another request.
        NotValid
            If the certificate that was given for it has been revoked.
        """
        digest = hashlib.sha256(request).hexdigest()
        with self._session() as session:
            lock_revocations(session)
            query = select(Invitation).where(Invitation.token_sha256 == _hash(token)).with_for_update()
            found = session.scalars(query).first()
            if found is None:
                raise NotAllowed("there is no such token", todo="look whether all of it was copied")
            identity = parse_identity(found.identity)
            if found.chain is not None:
                if found.request_sha256 != digest:
                    raise Conflict(
                        f"the token for {identity.uri} was spent by another request",
                        means="somebody else may have used it, or the node made a new key since",
                        todo="ask the hub operator to look at the certificates, and for another token",
                    )
                require_not_revoked(session, parse_chain(found.chain, "the stored chain")[0])
                return found.chain, identity
            if in_utc(found.expires_at) <= datetime.now(UTC):
                raise NotAllowed(
                    "the time of this token is over", todo="ask the hub operator for another one"
                )
            asked = read_request(request)
            require_asks_for(asked, identity)
            found.chain, found.request_sha256 = certify(asked), digest
            add_certificate(session, parse_chain(found.chain, "the new chain")[0], ENROLLED)
            return found.chain, identity


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
