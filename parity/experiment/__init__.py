"""What is trained, as data: models, losses, optimizers, schedules, every choice and every random number.

It imports nothing of parity but the errors; whatever else asks what was asked for, asks here.
"""
