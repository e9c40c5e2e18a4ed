"""Leave the long storms out unless they are asked for: ``pytest -m storm``."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is marked as a storm, unless the expression after -m speaks of storms."""
    if "storm" in config.getoption("-m", default=""):
        return
    storms = [item for item in items if item.get_closest_marker("storm")]
    if storms:
        items[:] = [item for item in items if item not in storms]
        config.hook.pytest_deselected(items=storms)
