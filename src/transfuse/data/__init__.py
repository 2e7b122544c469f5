"""From the names of corpora to a task, checked."""
