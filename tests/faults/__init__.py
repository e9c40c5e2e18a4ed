"""What must not break the promises: the oracle, the load, the proxy, and the faults."""
