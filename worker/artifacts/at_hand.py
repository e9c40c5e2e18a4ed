"""Open the archive where the files of reports are, and nowhere else."""

from postgres.report_files import Chosen, count_counted
from postgres.transaction import Lender, transaction
from tasks.reports.artifacts.archive import Archive, open_archive
from tasks.stores import StoreTrouble


def archive_at_hand(artifacts: str, pool: Lender) -> Archive:
    """Return the archive that workers write into.

    Raises :class:`StoreTrouble` on a machine that has no such folder: there,
    all files would seem to be gone.
    """
    archive = open_archive(artifacts)
    if archive.is_here():
        return archive
    with transaction(pool) as cursor:
        count = count_counted(Chosen(), cursor)
    if count:
        raise StoreTrouble(
            f"no worker writes into {artifacts} as this machine has it, but {count} files count: "
            "run this where CELERIAC_ARTIFACTS names the workers' folder"
        )
    return archive
