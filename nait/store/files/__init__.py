"""Files of the store: durable writes, checksums, manifests, locks, and the place of damaged files."""
