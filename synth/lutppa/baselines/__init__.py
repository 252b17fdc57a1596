"""Baselines: the cores that lookup replaces, as generators with the same streams."""
