"""A user's model as either side tells of it: its layers, the calls of a pass, nested inputs, places in their code.

Both implementations see this room; it knows neither pairing nor verdict.
"""
