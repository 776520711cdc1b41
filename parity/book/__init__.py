"""A book for classes: a page for every known difference, and chapters made of recordings that are made on the spot.

Pages are data of parity/page; chapters record experiments and check a port, as the commands do.
"""
