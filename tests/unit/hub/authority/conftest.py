"""The certificates of one network, issued once."""

from __future__ import annotations

import pytest
from cryptography import x509

from hub.config import Home
from quorate.contract.identity import load_certificate
from tests.support_hub import issue, write_hub_home
from tests.unit.hub.authority.checks import BUREAU, WEST, Trust, trust_of


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return write_hub_home(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="session")
def root(home: Home) -> x509.Certificate:
    return load_certificate(home.root_certificate)


@pytest.fixture(scope="session")
def hub(home: Home) -> x509.Certificate:
    return load_certificate(home.certificate)


@pytest.fixture(scope="session")
def authority(home: Home) -> x509.Certificate:
    return load_certificate(home.authority)


@pytest.fixture(scope="session")
def bureau(home: Home) -> x509.Certificate:
    return issue(home, BUREAU)


@pytest.fixture(scope="session")
def west(home: Home) -> x509.Certificate:
    return issue(home, WEST)


@pytest.fixture(scope="session")
def trust(home: Home) -> Trust:
    return trust_of(home)
