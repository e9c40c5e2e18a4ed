"""The command: ``python -m bench`` measures everything, ``--help`` shows how to measure parts."""

import dataclasses
import signal
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from bench import table
from bench.ground import Ground
from bench.load_scenarios import Loads
from bench.messages import Messages
from bench.plan import FULL, JOB_SCENARIOS, QUICK, SCENARIOS, Plan
from bench.progress import say
from bench.results import Results, machine
from bench.scenarios import Bench
from bench.servers import Place, running
from bench.subjects import Subject, find

HERE = Path(__file__).parent
#: What is compared in every scenario, by name.
Chosen = dict[str, list[str]]
NOWHERE = Place("postgresql:///", "")


def _names(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(filter(None, value.split(",")))


@click.command()
@click.option("--quick", is_flag=True, help="the main subjects, with few jobs")
@click.option("--subjects", default="", callback=_names, help="these alone, parted by commas")
@click.option("--scenarios", default="", callback=_names, help=f"of {', '.join(SCENARIOS)}")
@click.option("--jobs", type=click.IntRange(1), help="of a full drain")
@click.option("--runs", type=click.IntRange(1), help="of every subject in every scenario")
@click.option("--latency-jobs", type=click.IntRange(1), help="one at a time")
@click.option("--ledger-rows", type=click.IntRange(1), help="of earlier jobs")
@click.option("--file-rows", type=click.IntRange(1_000), help="of a file")
@click.option("--rows", type=click.IntRange(1_000), help="of all jobs of many rows")
@click.option("--enqueue-jobs", type=click.IntRange(100), help="of every way to enqueue")
@click.option("--report-rows", type=click.IntRange(1_000), help="of a report")
@click.option("--small-reports", type=click.IntRange(10), help="that wait at the same time")
@click.option("--backlogs", default="", callback=_names, help="numbers of jobs")
@click.option("--output", type=click.Path(path_type=Path), default=HERE / "results.json")
@click.option("--tree", type=click.Path(path_type=Path), default=HERE.parent, help="to measure")
@click.option("--peers-python", type=click.Path(path_type=Path), default=HERE / ".venv/bin/python")
def main(  # noqa: PLR0913 - options are arguments
    *,
    quick: bool,
    subjects: tuple[str, ...],
    scenarios: tuple[str, ...],
    backlogs: tuple[str, ...],
    output: Path,
    tree: Path,
    peers_python: Path,
    **amounts: int | None,
) -> None:
    """Measure Celeriac, the floor, stock Celery and its peers side by side, on real servers."""
    # Whoever ends the command ends all that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(signal.SIGTERM + 128))
    amounts["load_runs"] = amounts["runs"]
    given = {name: value for name, value in amounts.items() if value is not None}
    sizes = {"backlogs": tuple(map(int, backlogs))} if backlogs else {}
    plan = dataclasses.replace(QUICK if quick else FULL, **given, **sizes)  # type: ignore[arg-type]  # options are named as fields
    try:
        chosen = plan.narrowed(subjects, scenarios)
        found_subjects = _subjects(chosen)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    found = _measure(plan, chosen, found_subjects, output, tree.resolve(), peers_python.absolute())
    print("\n".join(table.lines(found)))
    sys.exit(bool(found["failed"]))


def _subjects(chosen: Chosen) -> dict[str, Subject]:
    """Return the subjects of the scenarios of single jobs, by name; raises ValueError."""
    names = {name for one in JOB_SCENARIOS for name in chosen.get(one, ())}
    return {name: find(name) for name in sorted(names)}


def _measure(  # noqa: PLR0913, PLR0917 - the command's options
    plan: Plan,
    chosen: Chosen,
    subjects: dict[str, Subject],
    output: Path,
    tree: Path,
    peers_python: Path,
) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="celeriac-bench-") as folder,
        running(Path(folder)) as servers,
    ):
        ground = Ground(servers, Path(folder), tree, peers_python)
        servers.prepare(_schemas(ground, subjects.values()))
        results = Results(machine(servers))
        jobs = Bench(ground, Messages(ground), results, plan)
        loads = Loads(ground, results, plan)
        for scenario, names in chosen.items():
            say(f"{scenario}: {', '.join(names)}")
            if scenario in JOB_SCENARIOS:
                jobs.run(scenario, [subjects[name] for name in names])
            else:
                loads.run(scenario, names)
            results.write(output)
        return results.as_dict()


def _schemas(ground: Ground, subjects: Iterable[Subject]) -> list[str]:
    return [ground.ask(one, NOWHERE, one.schema) for one in subjects if one.schema]


if __name__ == "__main__":
    main()
