"""Programs as users write them, without this project: what `python -m benchmarks.speed` is held against.

Each is run by its path, in a process of its own: python benchmarks/by_hand/mnist_keras.py FOLDER EPOCHS, where the
folder holds MNIST's four files, unpacked, under MNIST/raw.
"""
