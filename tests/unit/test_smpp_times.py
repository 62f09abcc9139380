"""SMPP's times, absolute and relative, and those of receipts."""

import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.smpp import status
from recado.smpp.pdu import Malformed
from recado.smpp.times import absolute, read_time, receipt_date, relative

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC).timestamp()
moments = st.integers(946_771_200, 4_102_358_399)  # of this century in every zone


def read(told: str) -> str:
    at = read_time(told, NOW, SAO_PAULO, status.ESME_RINVSCHED)
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat()


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("", ""),
        ("261122073000000+", "2026-11-22T07:30:00+00:00"),
        ("261122073000500-", "2026-11-22T07:30:00.500000+00:00"),
        ("261122073000012-", "2026-11-22T10:30:00+00:00"),
        ("261122073000922+", "2026-11-22T02:00:00.900000+00:00"),
        ("261122073000048+", "2026-11-21T19:30:00+00:00"),
        ("2611220730", "2026-11-22T10:30:00+00:00"),
        ("261122073015", "2026-11-22T10:30:15+00:00"),
        ("20261122073015", "2026-11-22T10:30:15+00:00"),
        ("202611220730", "2026-11-22T10:30:00+00:00"),
        ("201211220730", "2020-12-12T01:07:30+00:00"),
        ("000000000000000R", "2026-01-31T12:00:00+00:00"),
        ("000001020304000R", "2026-02-01T14:03:04+00:00"),
        ("000100000000000R", "2026-02-28T12:00:00+00:00"),
        ("021100000000000R", "2028-12-31T12:00:00+00:00"),
        ("000099999999000R", "2026-05-14T16:40:39+00:00"),
    ],
)
def test_a_time_is_read(told: str, meant: str) -> None:
    assert read(told) == meant


@pytest.mark.parametrize(
    "told",
    [
        "amanha",
        "261322073000000+",
        "260230073000000+",
        "261122253000000+",
        "261122073000049+",
        "261122073000000",
        "261122073000000*",
        "26112207300000+",
        "2613220730",
        "26112207",
        "26112207301",
        "19991122073015",
        "٢٦١١٢٢٠٧٣٠",
        "000001020304000r",
        "261122073000000+\n",
    ],
)
def test_a_time_that_cannot_be_read_is_refused_with_the_status_asked_for(told: str) -> None:
    for wrong in (status.ESME_RINVSCHED, status.ESME_RINVEXPIRY):
        with pytest.raises(Malformed) as caught:
            read_time(told, NOW, SAO_PAULO, wrong)
        assert caught.value.command_status == wrong


@given(moments, st.integers(0, 9), st.sampled_from(["UTC", "America/Sao_Paulo", "Asia/Kathmandu"]))
def test_an_absolute_time_that_is_written_is_read_as_it_was(
    second: int, tenth: int, zone: str
) -> None:
    at = second + tenth / 10
    told = absolute(at, ZoneInfo(zone))
    assert len(told) == 16
    assert read_time(told, NOW, UTC, status.ESME_RINVSCHED) == at


def test_an_absolute_time_says_its_offset() -> None:
    assert absolute(NOW) == "260131120000000+"
    assert absolute(NOW, SAO_PAULO) == "260131090000012-"


@given(st.integers(0, 100 * 86400 - 1))
def test_a_span_that_is_written_is_read_as_it_was(seconds: int) -> None:
    assert read_time(relative(seconds), NOW, UTC, status.ESME_RINVEXPIRY) == NOW + seconds


@pytest.mark.parametrize("seconds", [-1, 100 * 86400])
def test_a_span_that_cannot_be_told_is_not_written(seconds: float) -> None:
    with pytest.raises(ValueError, match="span"):
        relative(seconds)


@given(moments)
def test_a_receipts_date_goes_to_the_minute(second: int) -> None:
    # UTC has no hour twice, and a time without its offset is one of a customer's forms too.
    told = receipt_date(second)
    assert read_time(told, NOW, UTC, status.ESME_RINVSCHED) == second - second % 60


@given(st.text(max_size=20) | st.text("0123456789+-R", min_size=10, max_size=16))
def test_whatever_comes_as_a_time_it_is_read_or_refused(told: str) -> None:
    with contextlib.suppress(Malformed):
        read_time(told, NOW, SAO_PAULO, status.ESME_RINVSCHED)
