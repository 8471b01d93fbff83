"""Gives our own tests pytest's `pytester`; the plugin itself comes by its entry point (loading it twice kills pytest)."""

pytest_plugins = ["pytester"]
