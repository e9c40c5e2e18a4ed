"""One small program a peer; each runs in the peers' environment and imports no product code.

Run as a module with a number, a program enqueues so many jobs as its library's
users do; its worker is started by the library's own command.
"""
