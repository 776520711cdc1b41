def data(rng, n):
    return rng.normal(size=(n, 20)).astype("float32"), rng.integers(0, 5, n)
