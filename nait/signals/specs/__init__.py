"""What a pass can be asked to measure, as plain data."""
