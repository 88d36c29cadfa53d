"""The verifier of question-region pairs: reads the words with its own grammar and decides from the record alone."""
