"""What can be said of a text by reading it: topic, language, code, repetition."""
