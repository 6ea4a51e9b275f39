"""The charter: what the parties agreed to compute, at what privacy cost, under which rules."""

from __future__ import annotations

from zoneinfo import available_timezones

from pydantic import Field, JsonValue, model_validator

from privacy.calculus import Budgets
from privacy.errors import UsageProblem
from privacy.sensitivity import MOST_HOURS, Mechanism
from privacy.statistics import STATISTICS, declare
from privacy.terms import Digest, Level, Name
from privacy.units import NanoRho
from quorate.contract.canonical import Document
from quorate.contract.columns import LAYOUTS, is_national, labels_of, silent_level_of
from quorate.contract.exchange import can_seal
from quorate.contract.signing import PublicKey
from quorate.contract.zoning import NATION, ZONE, Zoning


class Product(Document):
    """A statistic with fixed parameters and privacy cost.

    Attributes
    ----------
    levels, mechanism
        Levels of the zoning that are measured with their shares of the loss, and the noise of all of them.
    rho
        Loss of one release in nano-ρ, by the whole period that it reads.
    max_days
        Longest period, in local days.
    algorithm
        Digest of the code that the operators agreed to run.
    """

    product_id: Name
    title: str = Field(min_length=1, max_length=200)
    statistic: Name
    parameters: dict[str, JsonValue]
    levels: tuple[Level, ...] = Field(min_length=1)
    mechanism: Mechanism = "discrete-gaussian"
    max_days: int = Field(strict=True, ge=1, le=31)
    rho: NanoRho
    algorithm: Digest

    @model_validator(mode="after")
    def _consistent(self) -> Product:
        self._require_statistic()
        if self.max_days != 1 and STATISTICS[self.statistic].reads == "day":
            raise ValueError(f"{self.statistic} reads one day, so max_days must be 1")
        if len({level.name for level in self.levels}) != len(self.levels):
            raise ValueError("a level is named twice")
        self._require_levels()
        if sum(level.share_permille for level in self.levels) != 1000:
            raise ValueError("the shares of the levels do not add up to 1000")
        return self

    def _require_statistic(self) -> None:
        if self.statistic not in STATISTICS:
            raise ValueError(f"there is no statistic called {self.statistic}")
        if self.statistic not in LAYOUTS:
            raise ValueError(
                f"{self.statistic} has bounds but no list of cells, so no node can run it yet; "
                f"use one of: {', '.join(sorted(LAYOUTS))}"
            )
        try:
            declare(self.statistic, self.parameters, MOST_HOURS)
            labels_of(self.statistic, self.parameters, MOST_HOURS)
            silent_level_of(self.statistic, self.parameters)
        except UsageProblem as error:
            raise ValueError(error.what) from error

    def _require_levels(self) -> None:
        names = [level.name for level in self.levels]
        if is_national(self.statistic, self.parameters):
            if names != [NATION]:
                raise ValueError(
                    f"{self.statistic} that is not by zone has the one level {NATION}, and no other"
                )
        elif ZONE not in names:
            raise ValueError(f"the finest level, {ZONE}, is not among the levels that are measured")

    def levels_of_zoning(self) -> set[str]:
        """Return the levels that a zoning must have, so that the product can be measured over it."""
        silent = silent_level_of(self.statistic, self.parameters)
        national = is_national(self.statistic, self.parameters)
        measured = set() if national else {level.name for level in self.levels}
        return measured | ({silent} if silent else set())


class PresenceRules(Document):
    """How long an event says where a subscriber is, where it is the nearest one: at most so many minutes after it and
    before it. Without any before it, it is until the next one.
    """

    max_hold_minutes: int = Field(strict=True, ge=1, le=24 * 60)
    max_hold_back_minutes: int = Field(strict=True, ge=0, le=24 * 60)

    @model_validator(mode="after")
    def _not_further_back(self) -> PresenceRules:
        if self.max_hold_back_minutes > self.max_hold_minutes:
            raise ValueError("an event holds no further before it than after it")
        return self


class Publication(Document):
    """When a release may be combined.

    Attributes
    ----------
    levels
        Levels of the zoning at which estimates are published.
    min_operators
        Fewer contributions than this, and the release ends inquorate.
    collect_seconds
        How long the hub waits for operators that neither answer nor refuse.
    dominance_percent
        An area in which one operator has more than this part of the count is flagged.
    """

    levels: tuple[Name, ...] = Field(min_length=1)
    min_operators: int = Field(strict=True, ge=1)
    collect_seconds: int = Field(strict=True, ge=1, le=10**7)
    dominance_percent: int = Field(strict=True, ge=51, le=99)


class Calibration(Document):
    """Declared assumptions of the calibration to the register; see docs/method.md.

    Attributes
    ----------
    owner_dispersion_permille
        Variance of counted subscriptions around phone owners, per owner, in thousandths.
    model_cv_permille
        Standard deviation of what the model leaves out, relative to the estimate, in thousandths.
    share_sd_permille
        Standard deviation over zones of the logarithm of an operator's market share, in thousandths; it
        counts only when an operator is missing.
    silent_sd_permille
        Standard deviation, in thousandths, of what silent phones are assigned: they may be elsewhere than others.
    others_moving_permille, others_moving_sd_permille
        Part of the persons without a phone who move like those with one, and its standard deviation, in thousandths;
        the others are at home.
    delay_minutes, delay_sd_minutes
        Mean age of the event that says where a phone is, and how well that is known, in minutes; zero if as many are
        ahead of it as behind, or if phones make an event whenever they move.
    coverage_drift_zone_permille, coverage_drift_nation_permille
        κ: standard deviation of the drift of coverage (logarithm) between the date of the register and now, of a
        zone and of the country, in thousandths. Mobile data cannot tell it.
    share_drift_zone_permille, share_drift_nation_permille
        δ: standard deviation of the drift of an operator's share (logarithm) in between, in thousandths; that of
        zones counts only where fewer than two operators are there to disagree.
    share_drift_nation_worth
        How many operators' disagreement the declared drift of the country is worth.
    going_on_permille, going_on_sd_permille
        Of persons at two operators or more, the part that has one more, and its standard deviation, in thousandths;
        used where no survey tells it.
    roaming_factor_permille, roaming_factor_worth
        Standard deviation of the logarithm of visitors for each roamer between countries, in thousandths, and how
        many countries it is worth.
    """

    owner_dispersion_permille: int = Field(strict=True, ge=0, le=10_000)
    model_cv_permille: int = Field(strict=True, ge=0, le=1_000)
    share_sd_permille: int = Field(strict=True, ge=0, le=5_000)
    silent_sd_permille: int = Field(strict=True, ge=0, le=2_000)
    others_moving_permille: int = Field(strict=True, ge=0, le=1_000)
    others_moving_sd_permille: int = Field(strict=True, ge=0, le=500)
    delay_minutes: int = Field(strict=True, ge=0, le=24 * 60)
    delay_sd_minutes: int = Field(strict=True, ge=0, le=24 * 60)
    coverage_drift_zone_permille: int = Field(strict=True, ge=0, le=1_000)
    coverage_drift_nation_permille: int = Field(strict=True, ge=0, le=1_000)
    share_drift_zone_permille: int = Field(strict=True, ge=0, le=1_000)
    share_drift_nation_permille: int = Field(strict=True, ge=0, le=1_000)
    share_drift_nation_worth: int = Field(strict=True, ge=1, le=100)
    going_on_permille: int = Field(strict=True, ge=0, le=1_000)
    going_on_sd_permille: int = Field(strict=True, ge=0, le=500)
    roaming_factor_permille: int = Field(strict=True, ge=0, le=5_000)
    roaming_factor_worth: int = Field(strict=True, ge=1, le=100)


class Keys(Document):
    """The parties' public keys: Ed25519 to sign statements, X25519 to seal secrets to; 64 hexadecimal digits each.

    Attributes
    ----------
    hub
        Signs task orders, and countersigns heads and receipts.
    operators
        Sign what they state: heads of their ledgers, receipts, refusals. Nobody else can, the hub's certificate
        authority included.
    exchange
        What only one operator may read is sealed to these, so that the hub relays it and cannot read it.
    """

    hub: PublicKey
    operators: dict[Name, PublicKey]
    exchange: dict[Name, PublicKey]


class Charter(Document):
    """The agreement; unsigned in this version and pinned by digest at enrolment."""

    version: int = Field(strict=True, ge=1)
    network: Name
    time_zone: str
    zoning: Digest
    operators: tuple[Name, ...] = Field(min_length=1)
    keys: Keys
    budgets: Budgets
    sigma_grid_milli: int = Field(strict=True, ge=1, le=10**6)
    presence: PresenceRules
    products: tuple[Product, ...] = Field(min_length=1)
    publication: Publication
    calibration: Calibration

    @model_validator(mode="after")
    def _consistent(self) -> Charter:
        # Raises where a number has no canonical form.
        self.to_bytes()
        if self.time_zone not in available_timezones():
            raise ValueError(f"time_zone {self.time_zone} is not in the time-zone database")
        if len(set(self.operators)) != len(self.operators):
            raise ValueError("an operator is named twice")
        self._require_keys()
        if len({product.product_id for product in self.products}) != len(self.products):
            raise ValueError("a product is named twice")
        if self.publication.min_operators > len(self.operators):
            raise ValueError("min_operators is more than there are operators")
        return self

    def _require_keys(self) -> None:
        keys, count = self.keys, len(self.operators)
        for name, found in (("operators", keys.operators), ("exchange", keys.exchange)):
            if set(found) != set(self.operators):
                raise ValueError(f"keys.{name} does not have exactly one key for each operator")
        if (
            len({keys.hub, *keys.operators.values()}) != count + 1
            or len(set(keys.exchange.values())) != count
        ):
            raise ValueError("two parties have the same key")
        for operator, public in keys.exchange.items():
            if not can_seal(public):
                raise ValueError(f"nothing can be sealed to keys.exchange.{operator}")

    def product(self, product_id: str) -> Product:
        """Return a product (UsageProblem if the charter has none of that name)."""
        for product in self.products:
            if product.product_id == product_id:
                return product
        raise UsageProblem(
            f"the charter has no product called {product_id}",
            todo=f"ask for one of: {', '.join(product.product_id for product in self.products)}",
        )

    def require_levels(self, zoning: Zoning) -> None:
        """Refuse a zoning that lacks a level at which something is measured or published (UsageProblem)."""
        measured = {name for product in self.products for name in product.levels_of_zoning()}
        missing = sorted((measured | set(self.publication.levels)) - set(zoning.levels))
        if missing:
            raise UsageProblem(
                f"the charter names the level {missing[0]}, which the zoning does not have",
                todo="correct publication.levels, or the levels of the products",
            )
