"""As many searches drawn at random as a minute allows; see fuzz_searches.py."""

import pytest

from tests.faults.fuzz_searches import run_many

pytestmark = pytest.mark.faults

N_SEARCHES = 200
MAX_SECONDS = 60


def test_every_search_ends_well() -> None:
    endings = run_many(0, N_SEARCHES, MAX_SECONDS)
    faults = {number: ending.text for number, ending in endings.items() if ending.kind == "fault"}
    assert not faults
    assert {ending.kind for ending in endings.values()} >= {"front", "error"}
