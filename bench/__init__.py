"""Side-by-side measurements: Celeriac, a floor without Celery, stock Celery and its peers.

``make bench`` runs all of it on this machine; ``python -m bench --help`` runs parts.
"""
