"""python -m parity.worker: see serving.py."""

from parity.worker.serving import main

main()
