"""What holds for the whole installation."""

import pytest
from msgspec.structs import replace

from recado.costcentre import CostCentre
from recado.errors import Misconfigured
from recado.settings import Settings, reaches_private, read_settings

BY_OPERATOR = CostCentre(id="ana", name="ana", created_at=0.0, callback_url="http://10.0.0.1/")
BY_CUSTOMER = replace(BY_OPERATOR, callback_by_customer=True)


@pytest.mark.parametrize(
    ("private", "loopback", "operators", "customers"),
    [
        (None, False, False, False),
        (None, True, True, False),
        (False, True, False, False),
        (True, False, True, True),
    ],
)
def test_a_private_callback_url_is_reached_where_that_is_wanted(
    private: bool | None, loopback: bool, operators: bool, customers: bool
) -> None:
    settings = Settings(private_callbacks=private, loopback=loopback)
    assert reaches_private(settings, BY_OPERATOR) is operators
    assert reaches_private(settings, BY_CUSTOMER) is customers


def test_no_variable_says_that_the_gateway_listens_on_loopback() -> None:
    assert not read_settings({"RECADO_LOOPBACK": "true"}).loopback


def test_a_value_that_makes_no_sense_is_named() -> None:
    with pytest.raises(Misconfigured, match="RECADO_RETENTION_DAYS"):
        read_settings({"RECADO_RETENTION_DAYS": "long"})
