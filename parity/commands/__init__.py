"""What the commands share: their options, exit statuses, folders, and how they end.

The commands themselves are the modules that `python -m` runs, beside this folder.
"""
