import json
import statistics
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.tables import profile

START = datetime(2020, 1, 1, tzinfo=UTC)
START_MS = 1_577_836_800_000


def described(values, **options):
    return profile(pl.DataFrame([pl.Series("x", values, **options)]))[0]


def test_numbers_are_described_by_their_moments_quantiles_and_histogram():
    values = [1.0, 2.0, 2.0, 3.0, 10.0]

    got = described([*values, None])

    assert (got["name"], got["type"], got["count"], got["missing"], got["distinct"]) == ("x", "real", 5, 1, 4)
    assert (got["min"], got["max"]) == (1.0, 10.0)
    assert got["mean"] == pytest.approx(statistics.mean(values))
    assert got["sd"] == pytest.approx(statistics.stdev(values))
    assert got["quantiles"]["0.5"] == 2.0
    assert list(got["quantiles"]) == ["0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99"]
    assert len(got["histogram"]["edges"]) == len(got["histogram"]["counts"]) + 1 == 21
    assert sum(got["histogram"]["counts"]) == 5


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50))
def test_a_profile_agrees_with_numpy(values):
    got = described(values)

    spread = max(abs(value) for value in values) or 1.0
    assert got["mean"] == pytest.approx(np.mean(values), abs=1e-12 * spread)
    for name, quantile in got["quantiles"].items():
        assert quantile == pytest.approx(np.percentile(values, 100 * float(name)), abs=1e-12 * spread)
    assert sum(got["histogram"]["counts"] if got["histogram"] else [len(values)]) == len(values)
    json.dumps(got, allow_nan=False)


def test_whole_numbers_stay_whole_at_their_ends():
    got = described([2, 3, None])

    assert (got["type"], got["min"], got["max"], got["mean"]) == ("integer", 2, 3, 2.5)


def test_times_are_milliseconds_in_utc():
    times = [START, START + timedelta(hours=1), START + timedelta(hours=5), None]

    got = described(times, dtype=pl.Datetime("ms", "UTC"))

    assert (got["type"], got["count"], got["missing"]) == ("time", 3, 1)
    assert (got["min"], got["max"]) == (START_MS, START_MS + 5 * 3_600_000)
    assert got["mean"] == START_MS + 2 * 3_600_000
    assert got["quantiles"]["0.5"] == START_MS + 3_600_000
    assert got["sd"] == pytest.approx(statistics.stdev([0, 3_600_000, 5 * 3_600_000]))


def test_text_is_counted():
    got = described(["high", "low", None, "high"])

    assert (got["type"], got["count"], got["missing"], got["distinct"]) == ("text", 3, 1, 2)
    assert got["min"] is got["mean"] is got["quantiles"] is got["histogram"] is None


def test_a_boolean_has_a_share_of_true():
    got = described([True, False, True, True, None])

    assert (got["type"], got["distinct"], got["mean"], got["min"]) == ("boolean", 2, 0.75, None)


def test_one_value_has_no_sd():
    got = described([5.0])

    assert (got["mean"], got["sd"], got["quantiles"]["0.01"]) == (5.0, None, 5.0)
    assert sum(got["histogram"]["counts"]) == 1


def test_a_tag_without_values_is_described_by_nothing():
    got = described([None, None], dtype=pl.Float64)

    assert (got["count"], got["missing"], got["distinct"]) == (0, 2, 0)
    assert got["mean"] is got["histogram"] is got["quantiles"] is None


def test_what_overflows_is_none_and_everything_goes_to_json():
    frame = pl.DataFrame({"huge": [-1.7e308, 1.7e308], "equal": [1e300, 1e300], "n": [2**62, -(2**62)]})

    got = profile(frame)

    json.dumps(got, allow_nan=False)
    assert got[0]["histogram"] is None
    assert got[0]["sd"] is None
    assert got[2]["max"] == 2**62
