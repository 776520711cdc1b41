"""The parent's side of the processes that run a framework: start them, give them jobs, record a pair.

It imports experiments, steps and recordings, and never what runs inside of a worker.
"""
