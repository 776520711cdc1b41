"""Which layer of one model is which of the other, how weights go across, and what their settings say of each other.

NumPy alone: it imports the models' descriptions, and neither a framework nor a process.
"""
