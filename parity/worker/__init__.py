"""The program that runs in a process with one framework: it takes jobs, trains, replays, makes twins.

It is the one place that imports an implementation, by name; it imports no verdict, diagnosis or report.
"""
