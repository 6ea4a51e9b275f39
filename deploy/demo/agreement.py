"""What the parties of the demo agree on: zoning, products, budgets and declared assumptions."""

from __future__ import annotations

from collections.abc import Mapping

import shapely

from deploy.demo.country import Country
from deploy.demo.simulation import Settings
from privacy.calculus import Budgets
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS
from privacy.terms import Level
from quorate.contract.charter import Calibration, Charter, Keys, PresenceRules, Product, Publication
from quorate.contract.zoning import ZONE, Zone, Zoning

NETWORK = "demo"
OFFICE = "statistics"
#: Default budgets of a charter (rho .03 a day, .6 in 31 days), in nano-rho.
DAY_BUDGET, MONTH_BUDGET = 30_000_000, 600_000_000
#: Both products together use up the budget of the day that both read: .01 + .02.
RESIDENTS_RHO, PRESENCE_RHO = 5_000_000, 20_000_000
NIGHT_HOURS = [0, 1, 2, 3, 4, 5]
MIN_NIGHTS = 2
MAX_HOLD_MINUTES = MAX_HOLD_BACK_MINUTES = 60
#: What the parties declare, because mobile data cannot tell it. The nearest event says where a
#: phone is, as often a later as an earlier one, so that on average it is seen when it is there: no delay.
ASSUMED = Calibration(
    owner_dispersion_permille=250,
    model_cv_permille=20,
    share_sd_permille=250,
    # Simulated phones fall silent wherever they are; real ones may not.
    silent_sd_permille=30,
    # Of ages that work, 2 to 5 % have no phone.
    others_moving_permille=150,
    others_moving_sd_permille=50,
    delay_minutes=0,
    delay_sd_minutes=10,
    coverage_drift_zone_permille=5,
    coverage_drift_nation_permille=0,
    share_drift_zone_permille=50,
    share_drift_nation_permille=30,
    share_drift_nation_worth=4,
    going_on_permille=100,
    going_on_sd_permille=100,
    roaming_factor_permille=500,
    roaming_factor_worth=4,
)


def zoning_of(country: Country) -> Zoning:
    """Return the zoning of a country: zones and their parents; a missing province is not named."""
    parents = zip(country.district, country.province, country.region, strict=True)
    zones = [
        Zone(
            code=code,
            parents={
                level: parent
                for level, parent in zip(("district", "province", "region"), above, strict=True)
                if parent is not None
            },
            centre_e6=_centre(polygon),
        )
        for code, above, polygon in zip(country.zone_codes, parents, country.polygons, strict=True)
    ]
    return Zoning(
        name=country.name, version="1", levels=(ZONE, "district", "province", "region"), zones=tuple(zones)
    )


def _centre(polygon: shapely.Polygon | shapely.MultiPolygon) -> tuple[int, int]:
    """Return a point that surely lies in the zone, latitude and longitude in millionths of a degree."""
    point = polygon.representative_point()
    return round(point.y * 1e6), round(point.x * 1e6)


def charter_of(zoning: Zoning, settings: Settings, algorithms: Mapping[str, str], keys: Keys) -> Charter:
    """Return the charter of the demo.

    Parameters
    ----------
    zoning
        Of the country.
    settings
        Of the simulation: its operators and days.
    algorithms
        Digest of the code of each statistic, as the operators have it installed.
    keys
        What the parties sign with.
    """
    residents = Product(
        product_id="residents",
        title="Residents by zone",
        statistic=RESIDENTS,
        parameters={"night_hours": list(NIGHT_HOURS), "min_nights": min(MIN_NIGHTS, settings.days)},
        levels=(Level(name=ZONE, share_permille=1000),),
        max_days=31,
        rho=RESIDENTS_RHO,
        algorithm=algorithms[RESIDENTS],
    )
    presence = Product(
        product_id="presence",
        title="Persons present by zone and hour",
        statistic=PRESENCE_BY_HOUR,
        parameters={},
        levels=(Level(name=ZONE, share_permille=1000),),
        max_days=1,
        rho=PRESENCE_RHO,
        algorithm=algorithms[PRESENCE_BY_HOUR],
    )
    days = [day.date for day in settings.local_days]
    return Charter(
        version=1,
        network=NETWORK,
        time_zone=settings.timezone,
        zoning=zoning.digest(),
        operators=settings.operator_ids,
        keys=keys,
        budgets=Budgets(day=DAY_BUDGET, month=MONTH_BUDGET, first_day=days[0], last_day=days[-1]),
        sigma_grid_milli=10,
        presence=PresenceRules(
            max_hold_minutes=MAX_HOLD_MINUTES, max_hold_back_minutes=MAX_HOLD_BACK_MINUTES
        ),
        products=(residents, presence),
        publication=Publication(
            levels=(ZONE, "district"),
            min_operators=min(3, settings.operators),
            collect_seconds=600,
            dominance_percent=85,
        ),
        calibration=ASSUMED,
    )
