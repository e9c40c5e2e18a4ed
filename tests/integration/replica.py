"""A streaming replica of an embedded PostgreSQL, read-only, on a socket of its own."""

from pathlib import Path

from worker.embedded import EmbeddedPostgres


class Replica(EmbeddedPostgres):
    """The embedded server, with what the primary has instead of a database of its own."""

    def __init__(self, folder: Path, primary: EmbeddedPostgres) -> None:
        # What it has to replay does not wait for whoever reads.
        super().__init__(folder, settings={"max_standby_streaming_delay": "0"})
        self._primary = primary

    def _create_data(self) -> None:
        place = f"host={self._primary.socket_dir} port={self._primary.port} user=postgres"
        options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        program = str(self._programs / "pg_basebackup")
        self._run([program, f"--pgdata={self.data}", f"--dbname={place}", *options])
