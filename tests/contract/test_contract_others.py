"""The other half of the contract's cases: a file is run by one process, and so both cores have one."""

import pytest

from tests.compiled import forget_if_many
from tests.contract.cases import CASES
from tests.contract.test_contract import *  # noqa: F403


@pytest.fixture(params=CASES[1::2], ids=lambda case: case.name, scope="module")
def case(request):
    yield request.param
    forget_if_many()
