"""Transfer on features: maps between words of two domains, arrays in and arrays out."""
