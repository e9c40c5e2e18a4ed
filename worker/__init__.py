"""How a job is done: reserved, accumulated, committed, settled."""
