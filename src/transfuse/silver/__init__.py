"""Silver corpora: text that taggers and lists of names annotate, and cleaning it for a target."""
