"""Reports: what may be asked, what answers it, and how the answer becomes a file."""
