"""Figures that Flower's own ``/metrics`` lacks: jobs that wait, are reserved, were set aside."""
