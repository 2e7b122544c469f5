"""Taggers made of taggers: votes, fusion, calibrated confidences and thresholds on them."""
