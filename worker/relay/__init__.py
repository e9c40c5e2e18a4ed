"""From the outbox to the queues: what is due is pushed, what Redis forgets is pushed again."""
