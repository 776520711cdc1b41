"""What each kind of node computes, and how far rounding may take it: one file for each kind.

`table.py` lists them; a kind that joins it is judged wherever nodes are.
"""
