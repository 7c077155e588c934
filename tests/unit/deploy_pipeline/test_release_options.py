"""The release's command line: what makes no sense is refused by name, with an example."""

import re

import pytest

from deploy.aws import release, rollback, smoke

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/diglot-rag:4f2c1e"


def test_a_plain_command_line_is_read_with_the_defaults_of_the_manual() -> None:
    options = release.read_options(["--images", f"rag={IMAGE}"])

    assert (options.prefix, options.images) == ("diglot", {"rag": IMAGE})
    assert (options.canary_share, options.watch_seconds, options.max_error_rate) == (0.1, 120, 0.01)
    assert re.fullmatch(r"\d{8}T\d{6}Z", options.stamp.id)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--images", "rag"], "--images 'rag' must be NAME=VALUE with NAME of rag, sql, ingest, router, gateway"),
        (["--images", f"images={IMAGE}"], f"--images 'images={IMAGE}' must be NAME=VALUE"),
        (["--images", f"rag={IMAGE}", f"rag={IMAGE}"], "--images names rag twice"),
        (["--images", "rag=diglot-rag:latest"], "'diglot-rag:latest' must name an image in ECR"),
        (["--images", f"rag={IMAGE}", "--canary-percent", "100"], "--canary-percent 100 must be 1 to 99, or 0"),
        (["--images", f"rag={IMAGE}", "--canary-percent", "nan"], "--canary-percent nan"),
        (["--images", f"rag={IMAGE}", "--watch-seconds", "-1"], "--watch-seconds -1 must be 0 to 3600"),
        (["--images", f"rag={IMAGE}", "--max-error-rate", "5"], "--max-error-rate 5 must be 0 to 1, such as 0.01"),
        (["--images", f"rag={IMAGE}", "--prefix", "-"], "--prefix '-' must be"),
        (["--images", f"rag={IMAGE}", "--release-id", "x" * 65], "must be up to 64 of letters"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(arguments: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        release.read_options(arguments)


@pytest.mark.parametrize("program", [release, rollback, smoke])
def test_the_manual_names_every_option_and_every_exit_code(program: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["--help"])  # type: ignore[attr-defined]

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "Exit codes: 0" in shown
    with pytest.raises(SystemExit):
        program.main(["--no-such-option"])  # type: ignore[attr-defined]
