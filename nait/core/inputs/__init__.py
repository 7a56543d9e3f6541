"""What a user types: paths and keys, and the errors about them."""
