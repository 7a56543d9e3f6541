"""Whether a method's scores predict what training on the rows does: the linear datamodelling score."""
