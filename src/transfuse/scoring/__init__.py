"""Scores, what stands behind them, and how sure they are."""
