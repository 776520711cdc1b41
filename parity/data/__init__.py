"""The samples: the embedded digits, MNIST's own files, XOR, and the batches that a schedule makes of them.

It imports experiments and errors.
"""
