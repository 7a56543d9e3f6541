"""Published figures beside measured ones, and the settings in which they differ."""
