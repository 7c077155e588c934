"""What questions cost on Lambda: `python -m deploy.costs.lambda_cost`, or `make costs`.

    cost of a question = Σ over functions ( memory in GB × seconds it is billed for × price of a GB-second
                                            + invocations × price of a request )
    seconds billed     = measured seconds + model's delay, where the function waits for the model or for one that does

Durations are measured with the processor time that the memory buys (tests/performance/function_durations.py), without
a model; its delay is added as one fixed figure, and legs that run at the same time wait for it once. Gateway and
router are billed while they wait. Memory comes from deploy/aws/template.yaml, prices from prices.json.

Options:
  --mix KIND=SHARE ...     of SQL, DOCUMENTS, HYBRID (SQL=0.4 DOCUMENTS=0.4 HYBRID=0.2)
  --delay SECONDS          how long a model takes for an answer or a query (2.0)
  --measurements FILE      durations; without: build/deploy.json or build/bench.json where they have any, else the
                           committed measurements.json
  --prices FILE            prices (prices.json beside this file)
  --memory PART=MB ...     sizes to try instead of the template's
  --requests N             how many questions (100000)

Not in it: uploads, stores, logs, data transfer, the model's own price. Exit codes: 0; 2 for arguments that make no
sense.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.aws.stack_template import TEMPLATES, Template

PARTS = ("gateway", "router", "rag", "sql")
# Who waits for a model, by the kind of question. Callers wait for the slower leg, which is as long as the other.
WAITING: Mapping[str, frozenset[str]] = {
    "SQL": frozenset({"gateway", "router", "sql"}),
    "DOCUMENTS": frozenset({"gateway", "router", "rag"}),
    "HYBRID": frozenset({"gateway", "router", "rag", "sql"}),
}
DEFAULT_MIX = {"SQL": 0.4, "DOCUMENTS": 0.4, "HYBRID": 0.2}
# A single function of 3 GB that does everything costs as much for 100,000 questions: the figure to be compared with.
SINGLE_FUNCTION_USD_PER_100K = 22.83
TARGET_SHARE = 1 / 5

_HERE = Path(__file__).parent
_BUILD = _HERE.parents[1] / "build"


@dataclass(frozen=True)
class Prices:
    """What Lambda asks for, in US dollars, and since when."""

    usd_per_gb_second: float
    usd_per_million_requests: float
    source: str
    date: str

    @classmethod
    def read(cls, path: Path) -> Prices:
        """Raises ValueError naming the file and what it lacks."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"{path}: no prices as in {_HERE / 'prices.json'}: {error}") from error


@dataclass(frozen=True)
class Work:
    """What one function does for one question, all its invocations together."""

    invocations: int
    duration_ms: float


@dataclass(frozen=True)
class Measurements:
    """Durations of each part by kind of question, of a single function for all, and where they come from."""

    questions: Mapping[str, Mapping[str, Work]]
    memory_mb: Mapping[str, int]
    single_memory_mb: int
    single_duration_ms: Mapping[str, float]
    time: str
    path: Path

    @classmethod
    def read(cls, path: Path) -> Measurements:
        """Raises ValueError naming the file and what it lacks."""
        try:
            durations = json.loads(path.read_text(encoding="utf-8"))["durations"]
            return cls(
                questions={
                    kind: {part: Work(**work) for part, work in parts.items()}
                    for kind, parts in durations["questions"].items()
                },
                memory_mb=durations["memory_mb"],
                single_memory_mb=durations["single_function"]["memory_mb"],
                single_duration_ms=durations["single_function"]["duration_ms"],
                time=durations["time"],
                path=path,
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path}: no durations as in {_HERE / 'measurements.json'}: {error!r}") from error


@dataclass(frozen=True)
class Line:
    """One function's part in the cost of one kind of question."""

    kind: str
    part: str
    memory_mb: int
    billed_ms: int
    invocations: int
    usd: float


def billed_usd(memory_mb: int, billed_ms: int, invocations: int, prices: Prices) -> float:
    """The formula of Lambda's bill. A GB is 1,024 MB."""
    gb_seconds = memory_mb / 1024 * billed_ms / 1000
    return gb_seconds * prices.usd_per_gb_second + invocations * prices.usd_per_million_requests / 1_000_000


def question_lines(
    kind: str, measured: Measurements, memory_mb: Mapping[str, int], delay_seconds: float, prices: Prices
) -> list[Line]:
    """What each function adds to one question of a kind. Lambda bills started milliseconds."""
    lines = []
    for part, work in measured.questions[kind].items():
        waits = delay_seconds * 1000 if part in WAITING[kind] else 0
        billed = math.ceil(work.duration_ms + waits)
        usd = billed_usd(memory_mb[part], billed, work.invocations, prices)
        lines.append(Line(kind, part, memory_mb[part], billed, work.invocations, usd))
    return lines


def single_function_usd(kind: str, measured: Measurements, delay_seconds: float, prices: Prices) -> float:
    """The same question in one process that holds everything."""
    billed = math.ceil(measured.single_duration_ms[kind] + delay_seconds * 1000)
    return billed_usd(measured.single_memory_mb, billed, 1, prices)


def checked_mix(shares: Mapping[str, float]) -> dict[str, float]:
    """The mix itself. Raises ValueError: unknown kinds, or shares that are no parts of one."""
    unknown = sorted(set(shares) - set(WAITING))
    if unknown:
        raise ValueError(f"--mix: there is no kind {unknown[0]}; use {', '.join(WAITING)}, as in SQL=0.4")
    if any(not 0 <= share <= 1 for share in shares.values()) or not math.isclose(sum(shares.values()), 1, abs_tol=1e-9):
        raise ValueError("--mix: shares lie between 0 and 1 and add up to 1, as in SQL=0.4 DOCUMENTS=0.4 HYBRID=0.2")
    return dict(shares)


def memory_of_template(path: Path = TEMPLATES / "template.yaml") -> dict[str, int]:
    """MB of each part, by the stack's template."""
    resources = Template.read(path).resolve()
    return {part: int(resources[f"{part.capitalize()}Function"]["Properties"]["MemorySize"]) for part in PARTS}


def find_measurements() -> Path:
    """The latest durations of this checkout, else the committed ones."""
    for name in ("deploy.json", "bench.json"):
        path = _BUILD / name
        if path.exists() and "durations" in json.loads(path.read_text(encoding="utf-8")):
            return path
    return _HERE / "measurements.json"


def report(
    measured: Measurements,
    *,
    prices: Prices,
    mix: Mapping[str, float],
    memory_mb: Mapping[str, int],
    delay_seconds: float,
    requests: int,
) -> str:
    """The whole reckoning as text; every figure in it can be followed by hand."""
    rows = ["kind       share  function   MB    billed ms  invocations  USD per question"]
    total = single = 0.0
    for kind, share in mix.items():
        lines = question_lines(kind, measured, memory_mb, delay_seconds, prices)
        rows += [
            f"{line.kind:<10} {share:5.2f}  {line.part:<8} {line.memory_mb:5d} {line.billed_ms:10d}"
            f" {line.invocations:12d}  {line.usd:.9f}"
            for line in lines
        ]
        total += share * sum(line.usd for line in lines)
        single += share * single_function_usd(kind, measured, delay_seconds, prices)
    reference = SINGLE_FUNCTION_USD_PER_100K / 100_000
    verdict = "within" if total <= reference * TARGET_SHARE else "ABOVE"
    notes = [
        f"durations: {_shown(measured.path)} of {measured.time}",
        f"prices:    {prices.source}, {prices.date}: {prices.usd_per_gb_second:.10f} USD per GB-second, "
        f"{prices.usd_per_million_requests:.2f} USD per million requests",
        f"formula:   Σ share × Σ ( MB / 1024 × billed ms / 1000 × {prices.usd_per_gb_second:.10f} "
        f"+ invocations × {prices.usd_per_million_requests:.2f} / 1000000 ), billed ms = ceil( measured "
        f"+ {delay_seconds * 1000:.0f} where the function waits for a model )",
    ]
    others = [part for part in PARTS if measured.memory_mb.get(part) != memory_mb[part]]
    if others:
        notes.append(f"note:      measured with other sizes than reckoned with: {', '.join(others)}")
    results = [
        f"{requests:,} questions, split:                        {total * requests:8.2f} USD",
        f"{requests:,} questions, one function of {measured.single_memory_mb} MB:     {single * requests:8.2f} USD"
        f"  (same mix, same delay; split is {total / single:.2f} of it)",
        f"{requests:,} questions, single 3 GB function to beat:  {reference * requests:8.2f} USD"
        f"  (split is {total / reference:.3f} of it: {verdict} 1/5)",
    ]
    return "\n".join([*notes, "", *rows, "", *results])


def _shown(path: Path) -> str:
    root = _HERE.parents[1]
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _pairs(option: str, words: Sequence[str], example: str) -> dict[str, float]:
    pairs: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            pairs[name] = float(value)
        except ValueError:
            raise ValueError(f"{option} {word!r}: write it as in {example}") from None
    return pairs


def _sizes(words: Sequence[str]) -> dict[str, int]:
    sizes = memory_of_template()
    for part, size in _pairs("--memory", words, "gateway=512").items():
        if part not in sizes or not 128 <= size <= 10_240:
            raise ValueError(f"--memory {part}={size:g}: 128 to 10240 MB for one of {', '.join(sizes)}")
        sizes[part] = int(size)
    return sizes


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the reckoning."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.costs.lambda_cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [options]",
    )
    parser.add_argument("--mix", nargs="+", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--delay", type=float, default=2.0, help=argparse.SUPPRESS)
    parser.add_argument("--measurements", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--prices", type=Path, default=_HERE / "prices.json", help=argparse.SUPPRESS)
    parser.add_argument("--memory", nargs="+", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=100_000, help=argparse.SUPPRESS)
    told: Any = parser.parse_args(arguments)
    try:
        if told.delay < 0 or told.requests < 1:
            raise ValueError("--delay is 0 or more seconds, and --requests at least 1")
        text = report(
            Measurements.read(told.measurements or find_measurements()),
            prices=Prices.read(told.prices),
            mix=checked_mix(_pairs("--mix", told.mix, "SQL=0.4") or DEFAULT_MIX),
            memory_mb=_sizes(told.memory),
            delay_seconds=told.delay,
            requests=told.requests,
        )
    except ValueError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201 -- a program for the command line
        return 2
    print(text)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
