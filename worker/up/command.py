"""The command `up`: servers, schema, processes, main job, and the way back."""

import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console

from celeriac.errors import CeleriacError
from postgres.errors import PostgresError
from worker.embedded import ServerFailed
from worker.outside import environment_to_inherit
from worker.up.environment import (
    ROOT,
    flower_port,
    process_environment,
    stack_settings,
    write_settings,
)
from worker.up.leftovers import stop_leftovers
from worker.up.logs import Logs
from worker.up.main_job import MainJob, MainJobFailed, MainJobStopped
from worker.up.processes import READY, Processes, add_processes
from worker.up.screen import say_run, say_servers
from worker.up.servers import Servers, prepare_database, running_servers
from worker.up.verdict import mistakes

READY_SECONDS = 90.0
LOOK_SECONDS = 0.1
COMPANION_SECONDS = 15.0


class NotReady(Exception):
    """A worker or Flower did not say in time that it is ready."""


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="var",
    show_default=True,
    help="Where data, logs and settings are kept.",
)
@click.option("--once", is_flag=True, help="Run the main job, then stop everything.")
@click.option("--main-job", is_flag=True, help="Run the main job, then stay up.")
def up(folder: Path, *, once: bool, main_job: bool) -> None:
    """Start servers, workers and Flower on this machine; Ctrl-C stops them all."""
    console = Console(soft_wrap=True)
    folder = folder.resolve()
    try:
        with running_servers(folder) as servers:
            stop_leftovers(folder)
            say_servers(console, servers, folder)
            prepare_database(servers, ROOT / "catalog" / "tables.sql")
            status = Stack(folder, servers, console, once, once or main_job).run()
    except (ServerFailed, PostgresError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        status = 0
    sys.exit(status)


@dataclass(slots=True)
class Stack:
    """The processes around two running servers, from their start to their end."""

    folder: Path
    servers: Servers
    console: Console
    once: bool
    main_job: bool
    _settings: dict[str, str] = field(init=False)
    _logs: Logs = field(init=False)
    _processes: Processes = field(init=False)
    _companion: threading.Thread = field(init=False)
    _failure: str | None = field(default=None, init=False)

    def run(self) -> int:
        """Return the exit status when all processes have ended."""
        inherited = environment_to_inherit()
        port = flower_port(self.folder, inherited)
        (self.folder / "env").unlink(missing_ok=True)
        (self.folder / "inbox").mkdir(exist_ok=True)
        self._settings = stack_settings(self.folder, self.servers, port, inherited)
        environment = process_environment(self.folder, self._settings, inherited)
        self._companion = threading.Thread(target=self._accompany, name="main job", daemon=True)
        self._logs = Logs(self.folder / "log", READY, self._companion.start)
        self._processes = Processes(self._logs)
        add_processes(self._processes, environment, port)
        self._processes.loop()
        self._companion.join(COMPANION_SECONDS)
        self._logs.close()
        return self._conclude()

    def _accompany(self) -> None:
        """Runs in a thread of its own: Honcho's loop keeps the main one."""
        try:
            self._wait_ready()
            write_settings(self.folder / "env", self._settings)
            if self.main_job:
                self._run_main_job()
            if not self.once:
                self._say_where()
                return
        except MainJobStopped:
            return
        except NotReady as error:
            self._failure = f"{error}; see {self.folder / 'log'}"
        except (MainJobFailed, CeleriacError, PostgresError) as error:
            self._failure = f"the main job failed: {error}"
        except Exception as error:  # noqa: BLE001 - the thread's edge: nobody else would tell
            self._failure = f"the main job failed: {error!r}"
            self.console.print_exception()
        self._processes.terminate()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        with self.console.status("starting workers and Flower"):
            while not self._logs.ready.wait(LOOK_SECONDS):
                if self._processes.ending.is_set():
                    raise MainJobStopped
                if time.monotonic() > deadline:
                    raise NotReady(f"not ready in time: {', '.join(self._logs.waiting())}")
        self.console.print("workers and Flower are ready")

    def _run_main_job(self) -> None:
        run = MainJob(self.servers, self.folder, self.console, self._processes.ending).run()
        say_run(self.console, run, self._settings["FLOWER_URL"])
        wrong = mistakes(run.findings)
        if wrong:
            raise MainJobFailed("; ".join(wrong))
        self.console.print("all rows are accounted for")

    def _say_where(self) -> None:
        if not self.main_job:  # which said so already
            self.console.print(f"Flower: {self._settings['FLOWER_URL']}", highlight=False)
        self.console.print(
            f"settings: {self.folder / 'env'} · logs: {self.folder / 'log'}\n"
            "Ctrl-C stops everything",
            highlight=False,
        )

    def _conclude(self) -> int:
        if self._failure:
            self.console.print(self._failure, style="bold red", markup=False, highlight=False)
            return 1
        for name in self._processes.died:
            self.console.print(
                f"{name} ended unexpectedly, {self._logs.path(name)} ends with:\n"
                f"{self._logs.tail(name)}",
                markup=False,
                highlight=False,
            )
        return 1 if self._processes.died else 0
