"""How digits are cut into patches, in plain numbers, so that listing the experiments need not load NumPy."""

# Pixels of an image's side.
SIDE = 28
# As words, an image is its patches of 4 by 4 pixels, each with one of eight levels of ink.
PATCH, LEVELS = 4, 8
PATCHES = (SIDE // PATCH) ** 2
