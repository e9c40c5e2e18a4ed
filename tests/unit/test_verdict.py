"""The verdict on the main job: silence when all is well, else what is wrong."""

from dataclasses import replace

import pytest

from postgres.overview import JobCounts, ReportFile, UncommittedJob
from worker.up.report_jobs import ASKED, Reported
from worker.up.verdict import Findings, mistakes

GOOD = JobCounts(
    jobs=5_222,
    committed=5_222,
    rows=27_009,
    inserted=27_004,
    updated=0,
    ignored=0,
    superseded=0,
    quarantined=5,
    batches=90,
)
REPORTED = [
    Reported(ReportFile(f"{name}-1", name, f"file:///{name}", fewest, "0" * 64, "1:1:"), ())
    for name, (_, fewest) in ASKED.items()
]
LOADED = {"rows": 27_004, "inserted": 27_002, "quarantined": 2}
SOUND = Findings(
    sent_jobs=5_222,
    counts=GOOD,
    uncommitted=[],
    table_rows=27_004,
    loaded=LOADED,
    departures=27_003,
    reports=REPORTED,
)


def test_sound_run_has_no_mistakes() -> None:
    """The sums of a clean run satisfy every check."""
    assert [] == mistakes(SOUND)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (replace(SOUND, sent_jobs=5_223), "5,223 jobs were sent, but the ledger holds 5,222"),
        (replace(SOUND, table_rows=27_003), "public.flights holds 27,003 rows"),
        (
            replace(
                SOUND,
                counts=replace(GOOD, committed=5_221),
                uncommitted=[UncommittedJob("flights-7", "held", "table is locked")],
            ),
            "1 jobs are not committed; flights-7 is held: table is locked",
        ),
        (replace(SOUND, counts=replace(GOOD, inserted=27_003)), "27,008 are accounted for"),
        (replace(SOUND, counts=replace(GOOD, quarantined=6)), "6 rows are in quarantine"),
        (replace(SOUND, counts=replace(GOOD, rows=27_010)), "hold 27,010 rows"),
        (replace(SOUND, loaded=LOADED | {"rows": 27_003}), "accounts for 27,003 rows"),
        (replace(SOUND, loaded=LOADED | {"quarantined": 1}), "1 rows of the file are in"),
        (replace(SOUND, departures=27_002), "public.departures holds 27,002 rows"),
        (replace(SOUND, reports=REPORTED[1:]), "2 files of reports are recorded instead of 3"),
        (
            replace(SOUND, reports=[replace(REPORTED[0], mistakes=("torn",)), *REPORTED[1:]]),
            "torn",
        ),
    ],
)
def test_each_broken_sum_is_told(found: Findings, words: str) -> None:
    """Whatever does not add up is told in a sentence with both numbers."""
    assert any(words in sentence for sentence in mistakes(found))
