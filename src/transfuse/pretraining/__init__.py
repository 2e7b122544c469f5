"""Encoders that go on learning from raw text."""
