"""Pre-trained encoders: where they come from, and their pieces."""
