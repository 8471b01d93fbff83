"""Gives our own tests pytest's `pytester`; the plugin comes by its entry point (twice kills pytest)."""

pytest_plugins = ["pytester"]
