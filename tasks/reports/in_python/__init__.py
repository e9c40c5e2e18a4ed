"""Reports that are functions in Python: what they read, and what becomes of what they return."""
