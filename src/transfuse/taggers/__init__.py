"""Taggers that are trained: the neural one and the linear one, and what they know of words."""
