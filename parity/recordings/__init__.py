"""What one side's run leaves on disk: write it, read it, refuse what contradicts itself, start from it.

It imports experiments, data and steps.
"""
