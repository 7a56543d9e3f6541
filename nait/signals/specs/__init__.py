"""Signal specifications: the quantities that a pass can measure, as plain data."""
