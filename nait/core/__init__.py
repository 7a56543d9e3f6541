"""The ground floor: what every room speaks of. Standard library and numpy only."""
