"""The arithmetic of what questions cost, and that it comes out where it has to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.costs import lambda_cost
from deploy.costs.lambda_cost import (
    DEFAULT_MIX,
    SINGLE_FUNCTION_USD_PER_100K,
    TARGET_SHARE,
    WAITING,
    Measurements,
    Prices,
    Work,
    billed_usd,
    checked_mix,
    main,
    memory_of_template,
    question_lines,
    single_function_usd,
)

COMMITTED = Path(lambda_cost.__file__).parent / "measurements.json"
PRICES = Prices(usd_per_gb_second=0.0000166667, usd_per_million_requests=0.20, source="list", date="2026-11-21")
MEMORY = {"gateway": 512, "router": 256, "rag": 1024, "sql": 1024}


def measured(**questions: dict[str, Work]) -> Measurements:
    return Measurements(
        questions=questions,
        memory_mb=MEMORY,
        single_memory_mb=3_072,
        single_duration_ms={"SQL": 100.0},
        time="2026-11-21T00:00:00Z",
        path=Path("measurements.json"),
    )


def test_a_bill_is_gigabyte_seconds_and_requests() -> None:
    assert billed_usd(1024, 1000, 0, PRICES) == pytest.approx(0.0000166667)
    assert billed_usd(512, 1000, 0, PRICES) == pytest.approx(0.0000166667 / 2)
    assert billed_usd(1024, 0, 1_000_000, PRICES) == pytest.approx(0.20)


def test_the_figure_to_be_compared_with_is_what_3_gb_cost_for_four_and_a_half_seconds() -> None:
    assert 100_000 * billed_usd(3 * 1024, 4_562, 1, PRICES) == pytest.approx(SINGLE_FUNCTION_USD_PER_100K, rel=0.001)


def test_callers_are_billed_while_they_wait_and_an_idle_leg_is_not() -> None:
    work = {"gateway": Work(1, 30.0), "router": Work(1, 25.0), "rag": Work(1, 10.0), "sql": Work(2, 12.5)}

    lines = question_lines("SQL", measured(SQL=work), MEMORY, 2.0, PRICES)

    assert {line.part: line.billed_ms for line in lines} == {"gateway": 2030, "router": 2025, "rag": 10, "sql": 2013}
    assert {line.part: line.invocations for line in lines} == {"gateway": 1, "router": 1, "rag": 1, "sql": 2}
    sql = next(line for line in lines if line.part == "sql")
    assert sql.usd == pytest.approx(1.0 * 2.013 * 0.0000166667 + 2 * 0.0000002)


def test_legs_at_the_same_time_are_waited_for_once_by_their_callers() -> None:
    work = {part: Work(1, 0.0) for part in MEMORY}

    lines = question_lines("HYBRID", measured(HYBRID=work), MEMORY, 2.0, PRICES)

    assert {line.billed_ms for line in lines} == {2000}


def test_a_single_function_holds_all_its_memory_while_it_waits() -> None:
    usd = single_function_usd("SQL", measured(SQL={}), 2.0, PRICES)

    assert usd == pytest.approx(3 * 2.1 * 0.0000166667 + 0.0000002)


def test_a_mix_names_known_kinds_and_adds_up() -> None:
    assert checked_mix(DEFAULT_MIX) == DEFAULT_MIX
    with pytest.raises(ValueError, match="there is no kind NONE"):
        checked_mix({"NONE": 1.0})
    with pytest.raises(ValueError, match="add up to 1"):
        checked_mix({"SQL": 0.5, "DOCUMENTS": 0.4})


def test_questions_cost_at_most_a_fifth_of_a_single_function_with_the_committed_durations() -> None:
    committed, memory = Measurements.read(COMMITTED), memory_of_template()

    usd = sum(
        share * sum(line.usd for line in question_lines(kind, committed, memory, 2.0, PRICES))
        for kind, share in DEFAULT_MIX.items()
    )

    assert 100_000 * usd <= SINGLE_FUNCTION_USD_PER_100K * TARGET_SHARE
    assert committed.memory_mb.items() >= memory.items(), (
        "measure again: python -m tests.performance.function_durations"
    )
    assert set(committed.questions) == set(WAITING)


def test_the_reckoning_shows_its_formula_its_sources_and_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--measurements", str(COMMITTED)])

    shown = capsys.readouterr().out
    assert status == 0
    assert "× 0.0000166667 + invocations × 0.20 / 1000000" in shown
    assert "deploy/costs/measurements.json" in shown
    assert "within 1/5" in shown


def test_other_sizes_can_be_tried_and_are_said_to_be_unmeasured(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--measurements", str(COMMITTED), "--memory", "gateway=1024", "sql=2048"])

    shown = capsys.readouterr().out
    assert status == 0
    assert "measured with other sizes than reckoned with: gateway, sql" in shown
    assert "ABOVE 1/5" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--mix", "SQL"], "write it as in SQL=0.4"),
        (["--mix", "SQL=2"], "add up to 1"),
        (["--delay", "-1"], "--delay is 0 or more seconds"),
        (["--memory", "worker=512"], "for one of gateway, router, rag, sql"),
        (["--memory", "sql=64"], "128 to 10240 MB"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_an_example(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--measurements", str(COMMITTED), *arguments]) == 2
    assert told in capsys.readouterr().err


def test_a_file_that_is_no_measurement_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "durations.json"
    path.write_text(json.dumps({"figures": {}}))

    assert main(["--measurements", str(path)]) == 2
    assert "durations.json: no durations as in" in capsys.readouterr().err


def test_prices_are_a_file_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices: dict[str, Any] = {
        "usd_per_gb_second": 0.0000333334,
        "usd_per_million_requests": 0.4,
        "source": "twice",
        "date": "2027-01-01",
    }
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(prices))

    assert main(["--measurements", str(COMMITTED), "--prices", str(path)]) == 0

    assert "twice, 2027-01-01" in capsys.readouterr().out
    path.write_text("{}")
    assert main(["--measurements", str(COMMITTED), "--prices", str(path)]) == 2
