"""Files in every format that people have: found, opened, decompressed and read record by record."""
