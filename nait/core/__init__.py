"""Data types, contracts and mathematics that every room uses; standard library and numpy only."""
