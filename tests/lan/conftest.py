"""Fixtures of the tests with real processes."""

import pytest

import lab


@pytest.fixture
def loopback():
    """This machine's loopback, with a port that nobody uses."""
    place = lab.Loopback()
    yield place
    place.close()


@pytest.fixture(scope="session")
def lans_possible():
    return lab.no_lan()


@pytest.fixture
def make_lan(lans_possible):
    """Makes virtual LANs: make_lan([2, 3, 250]) has the hosts 10.3.52.2 and so on."""
    if lans_possible:
        pytest.skip(lans_possible)
    made = []

    def make(numbers, **options):
        made.append(lab.Lan(numbers, **options))
        return made[-1]

    yield make
    for lan in made:
        lan.close()
