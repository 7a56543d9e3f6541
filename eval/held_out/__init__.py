"""Held-out rows of a reference set as a benchmark."""

from nait.eval.held_out.held_out_suite import HeldOut

__all__ = ["HeldOut"]
