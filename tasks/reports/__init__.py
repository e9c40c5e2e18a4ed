"""Reports: what may be asked, what answers it, and how the answer becomes a file.

The way of one: ``declared`` in the catalog, asked for by a ``request``, answered in ``company``
or as a ``long_run``, in ``sections``, which ``formats`` write into a draft of ``artifacts``, and
made to count by ``publish``.
"""
