"""Files of reports: drafts that nobody sees, artifacts, and the folders and stores of them."""
