"""Examples are made up by Hypothesis; how long one takes says nothing on a busy machine."""

from hypothesis import settings

settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")
