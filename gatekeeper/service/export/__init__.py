"""Exports that prove themselves.

    inside/    what lies in every bundle: how to check it
"""
