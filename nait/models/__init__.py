"""Models, templates and batches: from text to token ids, and where a network's parts are."""
