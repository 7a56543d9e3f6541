"""Devices: those that a config names, layers split among several, and networks that stay in their memory."""
