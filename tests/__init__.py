"""The claims that Celeriac makes, each one tried against real servers."""
