"""Numbers as spreadsheets show them."""

import pytest

from services.ingest.adapters.parsing.number_formats import GENERAL, shown


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (0.1 + 0.2, GENERAL, "0.3"),
        (1500.0, GENERAL, "1500"),
        (-2.5, "General", "-2.5"),
        (0.05, "0%", "5%"),
        (0.333, "0.0%", "33.3%"),
        (1234.5, '"$"#,##0.00', "$1,234.50"),
        (1234.5, "[$€-407] #,##0.00", "€ 1,234.50"),
        (-1234.5, "#,##0.00;[Red](#,##0.00)", "(1,234.50)"),
        (1234.5, "_($* #,##0.00_);_($* (#,##0.00)", "$1,234.50"),
        (-5, "0.00", "-5.00"),
        (0, '0;-0;"none"', "none"),
        (1234567, "#,##0,", "1,235"),
        (1234567, '0.0,,"M"', "1.2M"),
        (2.5, "0", "3"),
        (12, "000", "012"),
        (5, "0.0##", "5.0"),
        (5.126, "0.0##", "5.126"),
        (0.25, "#.##", ".25"),
        (3, '0 "pcs"', "3 pcs"),
        (0.5, "# ?/?", "0.5"),
        (5, "@", "5"),
        (12345, "0.00E+00", "12345"),
        (1e20, "0", "100000000000000000000"),
        (float("nan"), "0.00", "nan"),
        (7, "x" * 300, "7"),
        (7, "0." + "0" * 40, "7"),
    ],
)
def test_numbers_are_shown_as_their_format_says(value: float, code: str, text: str) -> None:
    assert shown(value, code) == text


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (45292, "yyyy-mm-dd", "2024-01-01"),
        (45292, "m/d/yy", "2024-01-01"),
        (45292.75, "dd.mm.yyyy hh:mm", "2024-01-01 18:00"),
        (45292.75, "mmm d, yyyy", "Jan 1, 2024"),
        (45292, "dddd, d mmmm yyyy", "Monday, 1 January 2024"),
        (44197, "yyyy", "2021"),
        (44197, "mm/yyyy", "2021-01"),
        (45292.75, "h:mm AM/PM", "6:00 PM"),
        (0.5, "hh:mm:ss", "12:00:00"),
        (1.5, "[h]:mm", "36:00"),
        (1, "yyyy-mm-dd", "1900-01-01"),
        (61, "yyyy-mm-dd", "1900-03-01"),
        (-3, "yyyy-mm-dd", "-3"),
        (1e9, "yyyy-mm-dd", "1000000000"),
    ],
)
def test_dates_read_alike_everywhere_and_named_months_as_they_are_shown(value: float, code: str, text: str) -> None:
    assert shown(value, code) == text
