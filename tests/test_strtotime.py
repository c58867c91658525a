"""Texts as times: what PHP's `strtotime` makes of the formats that entries and queries use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatdata.dialects.flextype.calendar_days import calendar_date, day_number
from flatdata.dialects.flextype.strtotime import MAX_TEXT, moves, strtotime

FRIDAY = "2020-02-07 12:30:45"
AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def unix(text: str) -> int:
    """The Unix time of `YYYY-MM-DD[ HH:MM[:SS]]` in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def read(text: str, now: str = FRIDAY, zone: Any = UTC) -> str | None:
    """What a text reads as, written in UTC."""
    found = strtotime(text, unix(now), zone)
    return None if found is None else f"{datetime.fromtimestamp(found, UTC):%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    "text",
    [
        *("17-04-2020 10:17", "17-4-2020 10:17", "17.04.2020 10:17:00", "17/Apr/2020:10:17:00 +0000"),
        *("2020-04-17 10:17", "2020-4-17 10:17:00", "2020-04-17T10:17", "2020-04-17T10:17:00Z"),
        *("2020-04-17T10:17:00.123Z", "2020-04-17 10:17:00.5", "2020-04-17T12:17:00+02:00"),
        *("2020-04-17T12:17:00.999+0200", "2020-04-17 05:17 -05:00", "2020-04-17 05:17-5"),
        *("04/17/2020 10:17 am", "4/17/2020 10:17 A.M.", "2020/04/17 10:17", "2020/4/17 10.17"),
        *("20200417 10:17", "20200417T101700", "20200417T10:17:00", "20200417t1017", "2020:04:17 10:17:00"),
        *("17 April 2020 10:17", "17 Apr 2020 10:17", "17th apr, 10:17 2020", "April 17, 2020 10:17"),
        *("Apr 17th 2020, 10:17am", "17-Apr-2020 10:17", "Apr-17-2020 10:17", "2020-Apr-17 10:17"),
        *("17 IV 2020 10:17", "Fri, 17 Apr 2020 10:17:00 +0000", "Fri, 17 Apr 2020 06:17:00 EDT"),
        *("Friday 17 April 2020 10:17 GMT", "2020-04-17 12:17 CEST", "2020-04-17 12:17 Europe/Amsterdam"),
        *("10:17 2020-04-17", "  2020-04-17 10:17\n", "@1587118620", "@1587118620.75", "@1587118620 +0200"),
        *("2020-W16-5 10:17", "2020W165 10:17", "2020.108 10:17", "2020-04-17 10:17 (UTC)"),
        *("2020-03-17 10:17 +1 month", "2020-04-16 34 hours 17 minutes", "2020-04-17 10:17 GMT+0"),
    ],
)
def test_one_moment_in_many_formats(text: str) -> None:
    assert read(text) == "2020-04-17 10:17:00"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-04-17", "2020-04-17 00:00:00"),
        ("17-04-20", "2017-04-20 00:00:00"),
        ("69-04-20", "2069-04-20 00:00:00"),
        ("70-04-20", "1970-04-20 00:00:00"),
        ("17.04.20", "2020-02-07 17:04:20"),
        ("30.6.08", "2008-06-30 00:00:00"),
        ("April 2020", "2020-04-01 00:00:00"),
        ("2020 April", "2020-04-01 00:00:00"),
        ("2020-04", "2020-04-01 00:00:00"),
        ("7 Feb", "2020-02-07 00:00:00"),
        ("Feb 9", "2020-02-09 00:00:00"),
        ("Feb 9 10:00", "2020-02-09 10:00:00"),
        ("march", "2020-03-07 00:00:00"),
        ("9/11", "2020-09-11 00:00:00"),
        ("9/11/04", "2004-09-11 00:00:00"),
        ("2020-02-30", "2020-03-01 00:00:00"),
        ("2020-02-07 24:00", "2020-02-08 00:00:00"),
        ("10:17", "2020-02-07 10:17:00"),
        ("T10:17:05", "2020-02-07 10:17:05"),
        ("4 am", "2020-02-07 04:00:00"),
        ("12am", "2020-02-07 00:00:00"),
        ("12:30 pm", "2020-02-07 12:30:00"),
        ("2020", "2020-02-07 20:20:00"),
        ("1960", "1960-02-07 12:30:45"),
        ("10:17 2019", "2019-02-07 10:17:00"),
        ("UTC", "2020-02-07 12:30:45"),
        ("2008W27", "2008-06-30 00:00:00"),
        ("2010-W01", "2010-01-04 00:00:00"),
        ("2016-W01-1", "2016-01-04 00:00:00"),
        ("2015-W53-7", "2016-01-03 00:00:00"),
        ("2008.197", "2008-07-15 00:00:00"),
        ("1969-12-31 23:59:59", "1969-12-31 23:59:59"),
        ("Sat, 17 Apr 2020", "2020-04-18 00:00:00"),
    ],
)
def test_absolute_text(text: str, expected: str) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2020-02-07 12:30:45"),
        ("NOW", "2020-02-07 12:30:45"),
        ("today", "2020-02-07 00:00:00"),
        ("midnight", "2020-02-07 00:00:00"),
        ("noon", "2020-02-07 12:00:00"),
        ("tomorrow", "2020-02-08 00:00:00"),
        ("yesterday", "2020-02-06 00:00:00"),
        ("tomorrow 11:00", "2020-02-08 11:00:00"),
        ("11:00 tomorrow", "2020-02-08 00:00:00"),
        ("yesterday noon", "2020-02-06 12:00:00"),
        ("-1 year", "2019-02-07 12:30:45"),
        ("- 1 year", "2019-02-07 12:30:45"),
        ("--1 day", "2020-02-08 12:30:45"),
        ("1 month ago", "2020-01-07 12:30:45"),
        ("+2 weeks 3 days", "2020-02-24 12:30:45"),
        ("+1 week 2 days 4 hours 2 seconds", "2020-02-16 16:30:47"),
        ("3 days 2 hours ago", "2020-02-04 10:30:45"),
        ("2 hours ago 3 days", "2020-02-10 10:30:45"),
        ("1 fortnight", "2020-02-21 12:30:45"),
        ("90mins", "2020-02-07 14:00:45"),
        ("next month", "2020-03-07 12:30:45"),
        ("last year", "2019-02-07 12:30:45"),
        ("previous day", "2020-02-06 12:30:45"),
        ("eighth day", "2020-02-15 12:30:45"),
        ("first day of next month", "2020-03-01 12:30:45"),
        ("first day of next month midnight", "2020-03-01 00:00:00"),
        ("last day of", "2020-02-29 12:30:45"),
        ("last day of february 2019", "2019-02-28 00:00:00"),
        ("last day of previous month", "2020-01-31 12:30:45"),
        ("first monday of january 2020", "2020-01-06 00:00:00"),
        ("third friday of this month", "2020-02-21 00:00:00"),
        ("last friday of next month", "2020-03-27 00:00:00"),
        ("monday", "2020-02-10 00:00:00"),
        ("friday", "2020-02-07 00:00:00"),
        ("this friday", "2020-02-07 00:00:00"),
        ("next friday", "2020-02-14 00:00:00"),
        ("last friday", "2020-01-31 00:00:00"),
        ("last mon", "2020-02-03 00:00:00"),
        ("second sunday", "2020-02-16 00:00:00"),
        ("+2 sunday", "2020-02-16 00:00:00"),
        ("saturday ago", "2020-02-01 00:00:00"),
        ("next saturday ago", "2020-02-01 00:00:00"),
        ("this week", "2020-02-03 12:30:45"),
        ("next week", "2020-02-10 12:30:45"),
        ("monday next week", "2020-02-10 00:00:00"),
        ("sunday this week", "2020-02-09 00:00:00"),
        ("sunday last week 10:00", "2020-02-02 10:00:00"),
    ],
)
def test_relative_text(text: str, expected: str) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-01-31 +1 month", "2020-03-02 00:00:00"),
        ("2019-01-31 +1 month", "2019-03-03 00:00:00"),
        ("2020-03-31 -1 month", "2020-03-02 00:00:00"),
        ("2020-02-29 +1 year", "2021-03-01 00:00:00"),
        ("2020-01-31 last day of next month", "2020-02-29 00:00:00"),
        ("2019-12-31 +1 day", "2020-01-01 00:00:00"),
        ("2020-01-15 -14 months", "2018-11-15 00:00:00"),
        ("2020-12-31 23:59:59 +1 second", "2021-01-01 00:00:00"),
    ],
)
def test_days_and_months_roll_over(text: str, expected: str) -> None:
    assert read(text) == expected


@pytest.mark.parametrize("start", range(7))
def test_a_weekday_is_the_next_one_or_today(start: int) -> None:
    monday = datetime(2008, 7, 21, tzinfo=UTC)
    for i, name in enumerate(["mon", "tuesday", "wed", "thursday", "fri", "saturday", "sun"]):
        now = int((monday + timedelta(days=start)).timestamp())
        assert strtotime(name, now, UTC) == now + (i - start) % 7 * 86400
        assert strtotime(f"+1 week {name}", now, UTC) == now + ((i - start) % 7 + 7) * 86400


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2005-09-11", AMSTERDAM, "2005-09-10 22:00:00"),
        ("2005-01-11", AMSTERDAM, "2005-01-10 23:00:00"),
        ("2005-01-11 CEST", AMSTERDAM, "2005-01-10 22:00:00"),
        ("2005-10-10 12:00 +31 days", AMSTERDAM, "2005-11-10 11:00:00"),
        ("2004-05-05 12:00 CEST 6 months", AMSTERDAM, "2004-11-05 10:00:00"),
        ("2020-03-29 02:30", AMSTERDAM, "2020-03-29 01:30:00"),
        ("2020-10-25 02:30", AMSTERDAM, "2020-10-25 00:30:00"),
        ("2020-03-29 00:00 +3 hours", AMSTERDAM, "2020-03-29 02:00:00"),
        ("tomorrow", AMSTERDAM, "2020-02-07 23:00:00"),
        ("12:00", timezone(timedelta(hours=-9)), "2020-02-07 21:00:00"),
        ("2020-02-07 America/New_York", UTC, "2020-02-07 05:00:00"),
        ("2020-02-07 12:00 PST", UTC, "2020-02-07 20:00:00"),
        ("2020-02-07 12:00 Z", AMSTERDAM, "2020-02-07 12:00:00"),
        ("2020-02-07 12:00 b", AMSTERDAM, "2020-02-07 10:00:00"),
        ("2020-02-07 12:00 +530", AMSTERDAM, "2020-02-07 06:30:00"),
        ("@0", AMSTERDAM, "1970-01-01 00:00:00"),
    ],
)
def test_time_zones(text: str, zone: Any, expected: str) -> None:
    assert read(text, zone=zone) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\0", "garbage", "Dead Pigs", "Movies", "10", "1e3", "2020-13-01", "2020-02-32", "25:61"),
        *("2020-02-07 2020-02-08", "10:00 11:00", "2020-02-07 UTC GMT CET", "2020-02-07 Nowhere/Town"),
        *("first week", "+", "-", "ago garbage", "2020-02-07;", "🙂", "١٠:٠٠", "last day offs", "1 eon"),
        *("../../../etc/passwd", "Etc/../passwd", "2020-02-07J", "=2020-02-07", "+3 weekdays"),
        *("@99999999999999999999", "+99999999999999999999 years", "9" * 19, "-" * 5000 + "1 day"),
    ],
)
def test_what_names_no_time(text: str) -> None:
    assert read(text) is None
    assert not moves(text) or "years" in text


def test_years_of_any_size() -> None:
    assert strtotime("0000-00-00 00:00:00", 0, UTC) == -62_169_984_000
    assert strtotime("-0044-03-15", 0, UTC) == -63_549_360_000
    assert strtotime("12020-01-01", 0, UTC) == 317_147_356_800
    assert strtotime("12020-01-01", 0, AMSTERDAM) == 317_147_356_800 - 3600
    assert strtotime("now", 10**12, AMSTERDAM) == 10**12
    assert strtotime("+100000 years", 0, UTC) == 100_000 // 400 * 146_097 * 86400


def test_a_long_text_names_no_time() -> None:
    assert read("2020-02-07" + " " * (MAX_TEXT - 10)) == "2020-02-07 00:00:00"
    assert read("2020-02-07" + " " * (MAX_TEXT - 9)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-02-07", False),
        ("2020-02-07 10:00", False),
        ("2020-02-07 +1 day", False),
        ("February 2020", False),
        ("@5", False),
        ("garbage", False),
        ("2020-02", False),
        ("now", True),
        ("10:00", True),
        ("7 Feb", True),
        ("1960", True),
        ("monday", True),
        ("+1 day", True),
        ("UTC", True),
    ],
)
def test_which_texts_depend_on_now(text: str, expected: bool) -> None:
    assert moves(text) is expected


pieces = st.sampled_from(
    [
        *(
            "2020-02-07",
            "7 Feb 2020",
            "10:00",
            "10:00:05",
            "@5",
            "2020",
            "1960",
            "now",
            "today",
            "noon",
            "ago",
        ),
        *(
            "+1 day",
            "-3 months",
            "next week",
            "monday",
            "last friday",
            "first day of",
            "march",
            "UTC",
            "+0200",
        ),
        *("Europe/Amsterdam", "2020W11", "first monday of", "20200417", "am", "T", "-", "1", "st", "of"),
    ]
)
texts = st.lists(pieces, max_size=5).flatmap(
    lambda parts: st.sampled_from([" ", "", ", "]).map(lambda s: s.join(parts))
)
nows = st.integers(-(10**11), 10**12)


@settings(max_examples=400)
@given(text=texts | st.text(max_size=20), now=nows, later=nows)
def test_any_text_reads_as_a_time_or_not_and_only_some_move(text: str, now: int, later: int) -> None:
    found = strtotime(text, now, AMSTERDAM)
    assert found is None or -(2**63) <= found < 2**63
    if not moves(text):
        assert strtotime(text, later, AMSTERDAM) == found


@given(st.integers(-(10**9), 10**9))
def test_each_day_has_one_date(number: int) -> None:
    year, month, day = calendar_date(number)
    assert 1 <= month <= 12
    assert 1 <= day <= 31
    assert day_number(year, month, day) == number


@given(st.dates())
def test_days_agree_with_the_calendar(day: Any) -> None:
    assert calendar_date(day.toordinal() - 719_163) == (day.year, day.month, day.day)


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year > 999))
def test_iso_texts_are_read_back(moment: datetime) -> None:
    assert strtotime(moment.isoformat(), 0, AMSTERDAM) == int(moment.replace(microsecond=0).timestamp())


@pytest.mark.parametrize(
    "text", ["1 day" * 40, "-+" * 99, "a-b" * 66, "Aa/" * 66, "jan" + "st " * 65, "1" * 200]
)
def test_hostile_texts_are_read_in_no_time(text: str) -> None:
    start = datetime.now(UTC)
    strtotime(text, 0, UTC)
    assert datetime.now(UTC) - start < timedelta(seconds=1)
