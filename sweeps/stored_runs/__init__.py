"""Run records, selections and costs, read from stores."""
