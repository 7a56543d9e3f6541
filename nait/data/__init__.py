"""What a user brings: files and Hub sets in, pools and targets out."""
