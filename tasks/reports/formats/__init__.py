"""The formats of reports: each writes an answer into a file while it comes."""
