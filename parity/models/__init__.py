"""A user's own pair of models: how they are described, which layer is which, and how weights go across."""
