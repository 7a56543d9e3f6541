"""What a job would do, take and cost, before anything is started."""
