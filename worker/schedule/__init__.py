"""From the catalog's schedules to jobs: what falls due is enqueued, each tick once."""
