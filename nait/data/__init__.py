"""Reading pools and reference sets: files and Hub data sets of every common shape."""
