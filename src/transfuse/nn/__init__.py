"""Tensors, no documents: the parts that taggers are composed of."""

__all__: list[str] = []
