"""Times as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.errors import EnrolmentInvalid
from streamapp.gallery.times import iso_time, unix_time


def test_times_are_shown_in_utc() -> None:
    assert iso_time(0) == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2027-12-31", "2027-12-31T23:59:59+00:00"),
        ("2027-12-31T12:00:00Z", "2027-12-31T12:00:00+00:00"),
        ("2027-12-31T12:00:00+01:00", "2027-12-31T11:00:00+00:00"),
        ("9999-12-31", "9999-12-31T23:59:59+00:00"),
    ],
)
def test_a_date_lasts_until_its_end_and_a_time_has_an_offset(text: str, shown: str) -> None:
    assert iso_time(unix_time(text)) == shown


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2027-13-01", "2027-12-31T12:00:00", "1969-12-31", "0001-01-01T00:00:00+23:59", "9" * 9000]
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(EnrolmentInvalid, match="2027-12-31T12:00:00"):
        unix_time(text)


@given(st.text(max_size=50))
def test_no_text_breaks_it(text: str) -> None:
    with contextlib.suppress(EnrolmentInvalid):
        iso_time(unix_time(text))
