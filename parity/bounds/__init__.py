"""What a step computes, in NumPy, and how far rounding may take it: one file for each kind of computation.

It imports experiments alone; nothing here knows a recording or a framework.
"""
