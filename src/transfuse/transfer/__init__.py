"""What methods share: training on one corpus, on sources, and on both together."""
