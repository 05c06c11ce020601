"""Generation by a sequence-to-sequence model: greedy, beam search, sampling, minimum Bayes risk."""
