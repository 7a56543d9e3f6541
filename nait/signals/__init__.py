"""Forward and backward passes that measure a pool for selection."""
