"""Whether a process of ours does well: what it says of itself, and how somebody asks."""
