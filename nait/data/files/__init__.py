"""Data files: path resolution, decompression, decoding and record-by-record reading."""
