"""Exports that prove themselves. What lies in every bundle, to check it with, is in `inside`."""
