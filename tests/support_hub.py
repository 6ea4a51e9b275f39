"""A tiny hub for tests: charter, zoning and register of five zones, noised answers, entries, a home."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from numpy.typing import NDArray
from sqlalchemy import URL, create_engine, text

from deploy.demo.agreement import ASSUMED
from hub.authority import found, sign
from hub.chain import links_of
from hub.config import Agreement, Home, Register
from hub.estimation.presence import FixedPoint
from hub.estimation.question import Answer, Earlier, Question
from hub.objects import Objects
from hub.pieces import Put
from hub.releases import judge
from hub.store import Store
from hub.uploads import Given
from privacy.calculus import Budgets
from privacy.ledger.entry import GENESIS, Entry, head_after
from privacy.levels import noised_levels
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import ANCHORS_BY_DAY, PRESENCE_BY_HOUR, RESIDENTS, WEIGHTED_PRESENCE
from privacy.terms import Level, LevelTerms, Terms
from quorate.contract.canonical import digest
from quorate.contract.charter import Calibration, Charter, PresenceRules, Product, Publication
from quorate.contract.identity import OPERATOR, Identity, signing_request
from quorate.contract.keyset import Keyset, keyset_of
from quorate.contract.order import TaskOrder, keyset_for, terms_of
from quorate.contract.payload import encode
from quorate.contract.signing import from_json, signed, to_json, verified
from quorate.contract.statements import HEAD_TYPE, RECEIPT_TYPE, Head, Receipt, receipt_for
from quorate.contract.zoning import ZONE, Zone, Zoning
from tests.keys import HUB, key_for, keys_for, pem_for

NETWORK = "small"
OPERATORS = ("east", "north", "west")
DAY, SHORT_DAY, LONG_DAY = date(2026, 5, 4), date(2026, 3, 29), date(2026, 10, 25)
MAY = date(2026, 5, 1), date(2026, 5, 31)
PRESENCE_RHO, RESIDENTS_RHO = 20_000_000, 5_000_000
POPULATION = (1000, 600, 1400, 800, 200)
PHONE_OWNERS = (800, 500, 1100, 600, 100)
ALGORITHM = "d" * 64
#: Zone, district, province: district B has no province, as Brussels has none.
_PARENTS = (
    ("A1", "A", "P"),
    ("A2", "A", "P"),
    ("B1", "B", None),
    ("C1", "C", "Q"),
    ("C2", "C", "Q"),
)


# --- what the parties agreed on ---------------------------------------------------------------------------


def small_zoning(**changes: Any) -> Zoning:
    """Return five zones in three districts; `changes` replace fields."""
    zones = [
        Zone(code=code, parents={"district": district} | ({"province": province} if province else {}))
        for code, district, province in _PARENTS
    ]
    fields: dict[str, Any] = {
        "name": "Small",
        "version": "1",
        "levels": (ZONE, "district", "province"),
        "zones": tuple(zones),
    }
    return Zoning(**(fields | changes))


def small_product(product_id: str, statistic: str, rho: int, max_days: int, **changes: Any) -> Product:
    """Return a product at the level of zones; `changes` replace fields."""
    fields: dict[str, Any] = {
        "product_id": product_id,
        "title": f"Persons: {product_id}",
        "statistic": statistic,
        "parameters": {},
        "levels": (Level(name=ZONE, share_permille=1000),),
        "max_days": max_days,
        "rho": rho,
        "algorithm": ALGORITHM,
    }
    return Product(**(fields | changes))


_NIGHT = {"night_hours": [0, 1, 2, 3, 4, 5]}
#: Two products in one round, then one in two rounds.
PRODUCTS = (
    small_product("presence", PRESENCE_BY_HOUR, PRESENCE_RHO, 1),
    small_product("residents", RESIDENTS, RESIDENTS_RHO, 31),
    small_product("anchors", ANCHORS_BY_DAY, 5_000_000, 1, parameters=_NIGHT),
    small_product(
        "weighted", WEIGHTED_PRESENCE, 10_000_000, 1, parameters=_NIGHT | {"weight_maximum": 10_000}
    ),
)


def small_charter(**changes: Any) -> Charter:
    """Return the charter of three operators; `changes` replace fields."""
    fields: dict[str, Any] = {
        "version": 1,
        "network": NETWORK,
        "time_zone": "Europe/Brussels",
        "zoning": small_zoning().digest(),
        "operators": OPERATORS,
        "budgets": Budgets(
            day=30_000_000, month=600_000_000, first_day=date(2026, 1, 1), last_day=date(2026, 12, 31)
        ),
        "sigma_grid_milli": 10,
        "presence": PresenceRules(max_hold_minutes=120, max_hold_back_minutes=0),
        "products": PRODUCTS[:2],
        "publication": publication(),
        "calibration": calibration(),
    }
    fields |= changes
    return Charter(**({"keys": keys_for(fields["operators"])} | fields))


def publication(**changes: Any) -> Publication:
    """Return the rules of publication: zones and districts, two operators, an hour."""
    fields: dict[str, Any] = {
        "levels": (ZONE, "district"),
        "min_operators": 2,
        "collect_seconds": 3600,
        "dominance_percent": 85,
    }
    return Publication(**(fields | changes))


def calibration(dispersion: int = 250, model_cv: int = 20, share_sd: int = 250) -> Calibration:
    """Return declared assumptions, in thousandths."""
    return ASSUMED.model_copy(
        update={
            "owner_dispersion_permille": dispersion,
            "model_cv_permille": model_cv,
            "share_sd_permille": share_sd,
        }
    )


def small_register() -> Register:
    """Return persons and phone owners by zone."""
    return Register(np.array(POPULATION, np.float64), np.array(PHONE_OWNERS, np.float64))


def small_agreement(**changes: Any) -> Agreement:
    """Return what the hub works by; `changes` replace fields of the charter."""
    charter = small_charter(**changes)
    return Agreement(charter, charter.digest(), small_zoning(), small_register(), key_for(HUB))


def terms_in(own: Agreement, product: str, first_day: date, last_day: date | None = None) -> Terms:
    """Return the terms of a product for a day or a period."""
    return terms_of(own.charter, own.zoning, product, (first_day, last_day or first_day), 0)


def measured(
    zoning: Zoning, columns: int, scales: Mapping[str, int], mechanism: Mechanism = "discrete-gaussian"
) -> tuple[Keyset, Zoning, Terms]:
    """Return what `combine` asks for: levels of a zoning whose noise has these scales, in thousandths.

    The keyset has any number of columns in the place of hours, so that each can be a draw of the noise.
    """
    keyset = keyset_of(RESIDENTS, {}, zoning, list(scales), first_day=DAY, time_zone="UTC")
    keyset = keyset.model_copy(update={"labels": tuple(map(str, range(columns)))})
    terms = Terms(
        product="residents",
        statistic=RESIDENTS,
        parameters={},
        zoning=zoning.digest(),
        keyset=keyset.digest(),
        levels=tuple(
            LevelTerms(name=name, share_permille=1, by_period=1, scale_milli=scale)
            for name, scale in scales.items()
        ),
        first_day=DAY,
        last_day=DAY,
        bounds=Declaration(cells_by_period=1, cells_by_day=1),
        mechanism=mechanism,
        by_period=len(scales),
        charter_version=1,
    )
    return keyset, zoning, terms


# --- what an operator answers -----------------------------------------------------------------------------


def exact_vector(own: Agreement, terms: Terms, scale: int = 1000) -> NDArray[np.int64]:
    """Return made-up counts, shape (cells,): `scale` subscribers for each phone owner, 500 without a zone."""
    owners = own.register.phone_owners.astype(np.int64)
    levels = []
    for name, _place, (areas, hours) in keyset_for(own.charter, own.zoning, terms).parts():
        counts = np.full((areas, hours), 500, np.int64)
        counts[:-1] = [[scale * owners[zones].sum()] for zones in own.zoning.members(name).values()]
        levels.append(counts.ravel())
    return np.concatenate(levels)


def noised_vector(own: Agreement, terms: Terms, scale: int = 1000) -> NDArray[np.int64]:
    """Return the made-up counts with the noise that their terms ask for."""
    exact, keyset = exact_vector(own, terms, scale), keyset_for(own.charter, own.zoning, terms)
    return noised_levels([exact[place] for _name, place, _shape in keyset.parts()], terms)[0]


def entry_for(terms: Terms, data: bytes, **changes: Any) -> Entry:
    """Return the ledger entry of a contribution; `changes` replace fields."""
    fields: dict[str, Any] = {
        "sequence": 1,
        "previous": GENESIS,
        "release_id": terms.release_id(),
        "terms": terms,
        "charge": terms.charge(),
        "samplers": ("opendp",) * len(terms.levels),
        "result_sha256": hashlib.sha256(data).hexdigest(),
        "result_length": len(data),
        "commitment": "c" * 64,
        "recorded_on": date(2026, 12, 1),
    }
    return Entry(**(fields | changes))


#: Token of the newest lease of each order, as its node would know it.
_TOKENS: dict[str, bytes] = {}


def next_order(store: Store, operator: str, node: int = 0) -> bytes | None:
    """Acquire the next order of an operator as one of its nodes would; return its bytes."""
    leased = store.acquire(operator, node, seconds=60)
    if leased is None:
        return None
    _TOKENS[leased.order_digest] = leased.token
    return leased.payload


def token_for(store: Store, operator: str, order_digest: str) -> bytes:
    """Return the token of the order's lease, which is acquired anew while it can be."""
    others: list[str] = []
    while (leased := store.acquire(operator, 0, 60, others)) and order_digest not in others:
        _TOKENS[leased.order_digest] = leased.token
        others.append(leased.order_digest)
    return _TOKENS.get(order_digest, b"none")


def newest_token(order_digest: str) -> bytes:
    """Return the token of the lease that `next_order` got last for an order."""
    return _TOKENS[order_digest]


def charged(store: Store, order_bytes: bytes, data: bytes) -> bytes:
    """Publish an entry that charges an order for some bytes as the next one of its operator's ledger; return it."""
    order = TaskOrder.from_bytes(order_bytes, "the order")
    known, previous = store.ledger_head(order.operator)
    entry = entry_for(order.terms, data, sequence=known + 1, previous=previous).to_bytes()
    head = Head(network=order.network, operator=order.operator, sequence=known + 1, head=head_after(entry))
    store.publish(
        head, links_of([entry]), to_json(signed(HEAD_TYPE, head.to_bytes(), key_for(order.operator)))
    )
    return entry


def put_chunk(store: Store, operator: str, order_digest: str, offset: int, data: bytes) -> int:
    """Put a piece under the newest lease."""
    return put_under(store, operator, order_digest, token_for(store, operator, order_digest), offset, data)


def put_under(  # noqa: PLR0917 - what is put, where, by whom
    store: Store, operator: str, order_digest: str, token: bytes, offset: int, data: bytes
) -> int:
    """Put a piece under a lease."""
    piece = Put(offset, data, hashlib.sha256(data).hexdigest())
    return store.put_pieces(operator, order_digest, token, [piece])


def node_of(operator: str) -> Identity:
    """Return the identity of an operator's first node."""
    return Identity(NETWORK, OPERATOR, operator, 0)


def accept(store: Store, operator: str, given: Given) -> bytes:
    """Have a contribution accepted under the newest lease."""
    return store.accept(node_of(operator), token_for(store, operator, given.row.order_digest), given)


def refuse_order(store: Store, operator: str, order_digest: str, reason: str) -> None:
    """Refuse an order under the newest lease."""
    store.refuse(node_of(operator), order_digest, token_for(store, operator, order_digest), reason, b"{}")


def judged(own: Agreement, order_bytes: bytes, data: bytes, entry: bytes) -> Given:
    """Judge a contribution whose operator has signed what its ledger entry says, as far as that can be read."""
    order = TaskOrder.from_bytes(order_bytes, "the order")
    try:
        said = receipt_for(order, digest(order_bytes), Entry.model_validate_json(entry), entry).to_bytes()
    except ValueError:
        said = b"unreadable"
    return judge(own, order_bytes, data, entry, signed(RECEIPT_TYPE, said, key_for(order.operator)))


def receipt_in(kept: bytes) -> Receipt:
    """Read a receipt as the hub keeps it, after looking at both signatures."""
    statement = from_json(kept, "the receipt")
    receipt = Receipt.from_bytes(statement.payload, "the receipt")
    keys = keys_for([receipt.operator])
    verified(
        statement,
        RECEIPT_TYPE,
        {"operator": keys.operators[receipt.operator], "hub": keys.hub},
        "the receipt",
    )
    return receipt


def given_by(own: Agreement, store: Store, operator: str, scale: int = 1000) -> Given:
    """Upload the answer to the next order of an operator in two pieces; return it as it was judged."""
    order_bytes = next_order(store, operator)
    assert order_bytes is not None, f"{operator} has no order"
    name, terms = digest(order_bytes), TaskOrder.from_bytes(order_bytes, "the order").terms
    data = encode(noised_vector(own, terms, scale))
    put_chunk(store, operator, name, 0, data[:100])
    put_chunk(store, operator, name, 100, data[100:])
    held = store.held(operator, name)
    return judged(own, held.payload, held.data, entry_for(terms, data).to_bytes())


def answer(own: Agreement, store: Store, operator: str, scale: int = 1000) -> bytes:
    """Answer the next order of an operator as its node would; return the receipt."""
    return accept(store, operator, given_by(own, store, operator, scale))


def refuse(store: Store, operator: str, reason: str = "POLICY") -> None:
    """Refuse the next order of an operator."""
    order_bytes = next_order(store, operator)
    assert order_bytes is not None, f"{operator} has no order"
    refuse_order(store, operator, digest(order_bytes), reason)


# --- where the hub keeps things --------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """A database and a directory of files."""

    database: URL
    objects: Path

    def store(self) -> Store:
        """Open them."""
        return Store(self.database, Objects(self.objects))

    def execute(self, statement: str, **values: object) -> list[Any]:
        """Do something behind the hub's back; return the rows, if it gives any."""
        engine = create_engine(self.database)
        try:
            with engine.begin() as connection:
                found = connection.execute(text(statement), values)
                return [tuple(row) for row in found] if found.returns_rows else []
        finally:
            engine.dispose()


# --- the hub's directory and its certificates -------------------------------------------------------------


def write_hub_home(root: Path, own: Agreement | None = None) -> Home:
    """Write a hub's directory: certificate authority, charter, zoning and register."""
    own = own or small_agreement()
    home = Home(root)
    root.mkdir(parents=True, exist_ok=True)
    found(home, own.charter.network, ("localhost", "127.0.0.1"))
    home.signing_key.write_bytes(pem_for(HUB))
    home.charter.write_bytes(own.charter.to_bytes())
    home.zoning.write_bytes(own.zoning.to_bytes())
    columns = (own.zoning.codes, own.register.population, own.register.phone_owners)
    lines = [f"{zone},{persons:.0f},{owners:.0f}\n" for zone, persons, owners in zip(*columns, strict=True)]
    home.register.write_text("zone,population,phone_owners\n" + "".join(lines), encoding="utf-8")
    return home


def request_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *names: x509.GeneralName) -> bytes:
    """Return a PEM signing request that asks for any names; without names it has no such extension."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def issue(home: Home, identity: Identity) -> x509.Certificate:
    """Return a certificate for an identity, for a fresh key."""
    request = signing_request(ec.generate_private_key(ec.SECP256R1()), identity)
    return x509.load_pem_x509_certificate(sign(home, request, identity))


# --- what is estimated ------------------------------------------------------------------------------------


def nothing_earlier(_product: str, _days: tuple[date, date], _revision: int | None) -> list[Answer]:
    """Say that there is no other release."""
    return []


def question(
    own: Agreement, terms: Terms, vectors: Sequence[NDArray[np.int64]], earlier: Earlier = nothing_earlier
) -> Question:
    """Return a release that as many operators have answered as there are vectors, in the charter's order."""
    answers = [
        Answer(order_for(own, operator, terms), encode(vector))
        for operator, vector in zip(own.charter.operators, vectors, strict=False)
    ]
    return Question(own, answers, earlier)


def order_for(own: Agreement, operator: str, terms: Terms, weights: FixedPoint | None = None) -> TaskOrder:
    """Return the order that asks an operator for a release."""
    return TaskOrder(
        network=own.charter.network,
        operator=operator,
        nonce=hashlib.sha256(operator.encode()).hexdigest()[:32],
        charter=own.charter_digest,
        algorithm=own.charter.product(terms.product).algorithm,
        terms=terms,
        weights=weights and weights.value,
        weight_one=weights and weights.one,
    )
