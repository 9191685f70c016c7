"""How wrong a transcript is: texts normalised into words, edits counted, rates with their intervals."""
