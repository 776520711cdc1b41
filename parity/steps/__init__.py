"""What a step of a phase gives: its results, their shapes, and which of them a loop shows.

It imports experiments and bounds.
"""
