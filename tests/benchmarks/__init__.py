"""Measurements, as ratios to a floor of the same run: absolute figures say little on a shared machine."""
