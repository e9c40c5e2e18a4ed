"""Say whether a process of ours does well: its own word, and that of the server it needs."""

import time

import click

from worker.health.sign import judge, read_sign
from worker.named import load
from worker.outside import settings_of_this_process

_WORKER = "worker"
_FLOWER = "flower"
_RELAY = "relay"


@click.command()
@click.argument("process", type=click.Choice([_WORKER, _RELAY, "schedule", _FLOWER]))
@click.option(
    "--url",
    default="http://127.0.0.1:5555",
    show_default=True,
    help="Where Flower listens.",
)
def health(process: str, url: str) -> None:
    """Say whether a worker, relay, schedule or Flower does well; exit status 1 if not.

    To be run beside the process, with its environment, as container engines do.
    A process whose server is away is not well, although it needs no restart.
    """
    trouble = _flower(url) if process == _FLOWER else _by_its_sign(process)
    if trouble:
        raise click.ClickException(trouble)
    name = "Flower" if process == _FLOWER else f"the {process}"
    click.echo(f"{name} does well")


def _by_its_sign(process: str) -> str:
    settings = settings_of_this_process()
    if settings.alive_file is None:
        return (
            "CELERIAC_ALIVE_FILE is not set: name a file there for this command and "
            f"for the {process}, which gives signs of life in it"
        )
    sign = read_sign(settings.alive_file)
    trouble = judge(sign, process, time.monotonic())
    if sign is None or trouble or process == _RELAY:
        return trouble  # A relay asks both its servers many times a second.
    urls = {settings.database_url}
    if process == _WORKER and sign.reads_reports:
        urls.add(settings.report_database_url or settings.database_url)
    # Loaded by name, like the other one: who asks a relay needs neither driver.
    ask = load("worker.health.database:ask")
    return str(ask([url.get_secret_value() for url in urls], settings.connect_seconds))


def _flower(url: str) -> str:
    broker_url = settings_of_this_process().broker_url.get_secret_value()
    return str(load("worker.health.flower:ask")(url, broker_url))
