"""What a report declares of itself, and how that is read from the catalog."""
