"""What may be wrong with a file."""


class BadFile(Exception):
    """A file that can never be read as asked; the message names file, place and remedy."""


class FileChanged(BadFile):
    """The file is another one than the one whose chunks are committed already."""


class Unreachable(Exception):
    """The file cannot be read just now; later it may be."""
