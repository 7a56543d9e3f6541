"""What a job costs, and what it is expected to cost: time, money and memory."""
