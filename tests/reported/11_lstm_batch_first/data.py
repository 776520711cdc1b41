def data(rng, n):
    return rng.normal(size=(n, 6, 3)).astype("float32"), rng.integers(0, 2, (n, 1)).astype("float32")
