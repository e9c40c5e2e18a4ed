"""What becomes of report files after they are published: kept, verified, removed."""
