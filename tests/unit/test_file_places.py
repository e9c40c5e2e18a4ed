"""File jobs read in the inbox and below allowed prefixes, and nowhere else."""

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from tasks.files import BadFile, Source, Unreachable, open_reader, open_source, read_options
from tasks.files.place import allowed_place
from tasks.files.web import public_address
from tests.files import write

_OPTIONS = read_options("a.csv", None, {})


class Pages(BaseHTTPRequestHandler):
    """A web server with one file, one way out and one that fails."""

    def do_GET(self) -> None:
        body = b"a,b\n1,2\n"
        status = {"/in/a.csv": 200, "/in/short.csv": 200, "/in/out.csv": 302, "/in/busy.csv": 503}
        self.send_response(status.get(self.path, 404))
        self.send_header("Location", "http://169.254.169.254/secret")
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", str(len(body) + 90 * (self.path == "/in/short.csv")))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep silent."""


@pytest.fixture
def site() -> Iterator[str]:
    """Run a web server on the loopback; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/in"
        server.shutdown()
        thread.join()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An inbox with a file, and around it what nobody may read."""
    (tmp_path / "inbox" / "folder").mkdir(parents=True)
    write(tmp_path / "secret.csv", "a\nsecret\n")
    write(tmp_path / "inbox" / "folder" / "a.csv", "a\n1\n")
    return tmp_path / "inbox"


def opened(url: str, inbox: Path | None = None, *prefixes: str) -> Source:
    """Open a file for a job."""
    return open_source(url, _OPTIONS, inbox=inbox, prefixes=prefixes)


def test_a_file_in_the_inbox_is_opened_by_each_of_its_names(inbox: Path) -> None:
    """A name relative to the inbox, the whole path and a file: URL mean the same."""
    whole = inbox / "folder" / "a.csv"
    for name in ("folder/a.csv", "./folder//a.csv", str(whole), whole.as_uri()):
        with opened(name, inbox) as source:
            assert b"a\n1\n" == source.read(100)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.csv",
        "folder/../../secret.csv",
        "folder/%2e%2e/a.csv",
        "{outside}/secret.csv",
        "{outside}/inbox-of-another/a.csv",
        "{outside}/inbox/../secret.csv",
        "file://{outside}/secret.csv",
        "file://{outside}/inbox/%2e%2e/secret.csv",
        "file://elsewhere/etc/passwd",
        "/etc/passwd",
        "",
        ".",
        "folder",
        "folder/a.csv/b",
        "missing.csv",
        "folder/a.csv\0.gz",
        "x" * 5000,
        "link.csv",
        "linked/secret.csv",
        "inner-link.csv",
        "fifo",
        "socket",
        "folder/\n",
    ],
)
def test_nothing_else_is_opened(inbox: Path, name: str) -> None:
    """Ways out of the inbox, links, and what is no regular file are refused by name."""
    outside = inbox.parent
    (outside / "inbox-of-another").mkdir()
    write(outside / "inbox-of-another" / "a.csv", "a\n")
    (inbox / "link.csv").symlink_to(outside / "secret.csv")
    (inbox / "linked").symlink_to(outside)
    (inbox / "inner-link.csv").symlink_to("folder/a.csv")
    os.mkfifo(inbox / "fifo")
    here = os.open(inbox, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)

        with pytest.raises(BadFile):
            opened(name.format(outside=outside), inbox)


def test_a_device_is_not_opened() -> None:
    """A device is refused, even if the inbox holds one."""
    with pytest.raises(BadFile, match="'zero' is no regular file"):
        opened("zero", Path("/dev"))


def test_files_without_an_inbox_are_refused() -> None:
    """Without the setting no local file is read; the setting is named."""
    with pytest.raises(BadFile, match="CELERIAC_INBOX is not set"):
        opened("a.csv")


def test_an_inbox_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """A folder that is not mounted yet says nothing about the file."""
    with pytest.raises(Unreachable, match="cannot open the inbox"):
        opened("a.csv", tmp_path / "not-mounted")


def test_an_inbox_may_itself_be_a_link(inbox: Path) -> None:
    """Where the operator's setting leads is the inbox, by either name."""
    link = inbox.parent / "link"
    link.symlink_to(inbox)

    for name in ("folder/a.csv", str(link / "folder/a.csv"), str(inbox / "folder/a.csv")):
        opened(name, link).file.close()


@pytest.mark.parametrize(
    ("prefix", "url"),
    [
        ("https://a.example/in/", "https://a.example/in/b/c.csv"),
        ("https://a.example/in", "https://a.example/in/c.csv?token=x"),
        ("https://a.example", "https://A.example/c.csv"),
        ("s3://bucket", "s3://bucket/c.csv"),
        ("s3://bucket/in/", "s3://bucket/in/c%20d.csv"),
    ],
)
def test_a_prefix_allows_what_lies_below(prefix: str, url: str) -> None:
    """Equal scheme and host, and a path at or below the prefix's."""
    assert url == allowed_place(url, ["https://other.example/", prefix]).url


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example.evil.example/in/c.csv",
        "https://a.example@evil.example/in/c.csv",
        "https://evil.example/https://a.example/in/c.csv",
        "https://user:secret@a.example/in/c.csv",
        "https://a.example:8443/in/c.csv",
        "https://a.example:x/in/c.csv",
        "http://a.example/in/c.csv",
        "https://a.example/inner/c.csv",
        "https://a.example/in/../c.csv",
        "https://a.example/in/%2e%2e/c.csv",
        "https://a.example/in/%252e%252e/c.csv",
        "https://a.example/in/..%2fc.csv",
        "https://a.example/in/..%5cc.csv",
        "https://a.example\\@evil.example/in/c.csv",
        "https://a.example/in/c.csv\r\nHost: evil.example",
        "https://a.example/in/a b.csv",
        "simplecache::https://a.example/in/c.csv",
        "https://a.example/in/c.zip::zip://c.csv",
        "https://[a.example/in/c.csv",
        "local://a.example/in/c.csv",
        "://a.example/in/c.csv",
    ],
)
def test_a_prefix_allows_nothing_else(url: str) -> None:
    """Hosts that only look alike, ways up, chains and unclear URLs are refused."""
    with pytest.raises(BadFile):
        allowed_place(url, ["https://a.example/in"])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "::1"])
def test_internal_addresses_are_refused(host: str) -> None:
    """Hosts of the internal network are read from only if the operator says so."""
    with pytest.raises(BadFile, match=r"an address of the internal network: .*internal\+"):
        public_address(host, 80, allows_internal=False)

    assert public_address(host, 80, allows_internal=True)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "::ffff:10.0.0.1",
        "2002:a00:1::",
        "0.0.0.0",
        "224.0.0.1",
        "2130706433",
        "64:ff9b::a9fe:a9fe",
    ],
)
def test_internal_addresses_in_disguise_are_refused(host: str) -> None:
    """The metadata service of clouds, mapped and numeric forms are addresses like others."""
    with pytest.raises(BadFile, match="an address of the internal network"):
        public_address(host, 80, allows_internal=False)


def test_a_web_server_is_read_if_its_prefix_says_internal(site: str) -> None:
    """A file comes with its size and etag; without the word its internal address is refused."""
    with opened(f"{site}/a.csv", None, f"internal+{site}") as source:
        rows = [chunk.data for chunk in open_reader(source, _OPTIONS).chunks()]

    assert ([b"1,2\n"], 8, '"one"') == (
        rows,
        source.fingerprint.size_bytes,
        source.fingerprint.etag,
    )
    with pytest.raises(BadFile, match="internal network"):
        opened(f"{site}/a.csv", None, site)


@pytest.mark.parametrize(
    ("page", "kind", "words"),
    [
        ("out.csv", BadFile, "sends on to 'http://169.254.169.254/secret'"),
        ("missing.csv", BadFile, "answers 404"),
        ("busy.csv", Unreachable, "answers 503"),
    ],
)
def test_answers_without_a_file_are_told_apart(
    site: str, page: str, kind: type[Exception], words: str
) -> None:
    """A redirect is not followed, a missing file is refused, a busy server is waited for."""
    with pytest.raises(kind, match=words):
        opened(f"{site}/{page}", None, f"internal+{site}")


def test_an_answer_that_breaks_off_is_no_short_file(site: str) -> None:
    """A connection that ends before the file does is tried again, not taken for its end."""
    with opened(f"{site}/short.csv", None, f"internal+{site}") as source:
        with pytest.raises(Unreachable, match="ended at 8 of 98 bytes"):
            list(open_reader(source, _OPTIONS).chunks())


def test_a_server_that_is_away_is_waited_for() -> None:
    """A refused connection says nothing about the file."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{one.getsockname()[1]}"

        with pytest.raises(Unreachable):
            opened(f"{place}/a.csv", None, f"internal+{place}")


def test_other_file_systems_are_read_below_their_prefix() -> None:
    """Whatever fsspec reaches can be allowed; what it cannot find is refused."""
    with fsspec.open("memory://in/a.csv", "wb") as file:
        file.write(b"a\n1\n")

    with opened("memory://in/a.csv", None, "memory://in") as source:
        assert [b"1\n"] == [one.data for one in open_reader(source, _OPTIONS).chunks()]
    with pytest.raises(BadFile, match="cannot be opened"):
        opened("memory://in/b.csv", None, "memory://in")
    with pytest.raises(BadFile, match="no file system"):
        opened("nonsense://in/b.csv", None, "nonsense://in")
    with pytest.raises(BadFile, match="not for file jobs"):
        opened("local://in/b.csv", None, "local://in")
