"""A user's port held against its original: opened, given the same weights, run, recorded, judged, reported.

The commands and the Python interface are thin over it.
"""
