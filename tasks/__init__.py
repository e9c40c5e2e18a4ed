"""What is done with a job: one kind of work a file."""
