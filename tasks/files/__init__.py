"""Read files in chunks of whole records, from where a job stopped before.

    options = read_options(url, format, given)
    with open_source(url, options, inbox=inbox, prefixes=prefixes) as source:
        source.fingerprint.refuse_change(earlier, url)
        reader = open_reader(source, options, after=position)
        for chunk in reader.chunks():
            ...

Nothing here knows PostgreSQL, but its rules for CSV are followed to the
letter, so that what is counted here is what COPY counts.
"""

from tasks.files.chunk import Chunk as Chunk
from tasks.files.chunk import Dialect as Dialect
from tasks.files.chunk import Record as Record
from tasks.files.chunk import Shape as Shape
from tasks.files.errors import BadFile as BadFile
from tasks.files.errors import FileChanged as FileChanged
from tasks.files.errors import Unreachable as Unreachable
from tasks.files.options import FileOptions as FileOptions
from tasks.files.options import Format as Format
from tasks.files.options import read_options as read_options
from tasks.files.position import START as START
from tasks.files.position import Fingerprint as Fingerprint
from tasks.files.position import Position as Position
from tasks.files.reader import Reader as Reader
from tasks.files.reader import open_reader as open_reader
from tasks.files.source import Source as Source
from tasks.files.source import open_source as open_source
