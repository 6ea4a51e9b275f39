"""A charter with a union sketch, and packages with its period key, for tests of how the key gets around."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from hub.config import Agreement as HubAgreement
from privacy.statistics import UNION_SKETCH
from quorate.contract import period_key
from quorate.contract.charter import Charter, Product
from quorate.contract.period_key import PERIOD_KEY_TYPE, KeyScope, PeriodKey, commitment_to, package_of
from quorate.contract.signing import signed
from quorate.v1 import federation_pb2 as fed
from tests.hpke_by_hand import sealed_by_hand
from tests.keys import key_for
from tests.support_hub import small_agreement, small_charter, small_product

#: Name of the product, and a period of it in May 2026.
UNION = "union"
WEEK = date(2026, 5, 4), date(2026, 5, 10)
NEXT_WEEK = date(2026, 5, 11), date(2026, 5, 17)
#: A sketch of each zone; a subscriber counts in three of them at most.
PARAMETERS: dict[str, Any] = {"bins": 64, "by_zone": True, "limit": 3}
KEY = hashlib.sha256(b"the period key of a test").digest()


def union_product(**changes: Any) -> Product:
    """Return a product that is a union sketch."""
    product = small_product(UNION, UNION_SKETCH, 5_000_000, 31, parameters=PARAMETERS)
    return product.model_copy(update=changes)


def union_agreement(**changes: Any) -> HubAgreement:
    """Return what the small hub works by, with a union sketch beside its products."""
    return small_agreement(products=(*small_charter().products, union_product()), **changes)


def scope_in(charter: Charter, days: tuple[date, date] = WEEK, /, **changes: Any) -> KeyScope:
    """Return what the key of the union sketch of a charter is for; `changes` replace fields."""
    scope = KeyScope(
        network=charter.network,
        charter=charter.digest(),
        product=UNION,
        first_day=days[0],
        last_day=days[1],
    )
    return scope.model_copy(update=changes)


def package_by(charter: Charter, maker: str, scope: KeyScope | None = None, key: bytes = KEY) -> PeriodKey:
    """Return the package of an operator."""
    return package_of(key, scope or scope_in(charter), maker, charter.keys.exchange)


def statement_of(package: PeriodKey, signer: str | None = None) -> fed.Envelope:
    """Return a package signed by its maker, or by somebody else."""
    return signed(PERIOD_KEY_TYPE, package.to_bytes(), key_for(signer or package.maker))


def fixed_package(charter: Charter, maker: str) -> PeriodKey:
    """Return a package that is the same every time: its boxes are sealed by hand with senders' keys of no chance."""
    scope = scope_in(charter)
    return PeriodKey(
        **scope.model_dump(),
        maker=maker,
        commitment=commitment_to(KEY),
        wrapped={
            operator: sealed_by_hand(
                KEY,
                bytes.fromhex(public),
                period_key._info(scope, maker, operator),
                X25519PrivateKey.from_private_bytes(hashlib.sha256(f"sender {operator}".encode()).digest()),
            ).hex()
            for operator, public in charter.keys.exchange.items()
        },
    )
