"""Devices: those that a config names, and layers that are split among several."""
