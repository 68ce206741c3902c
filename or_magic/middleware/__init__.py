"""What surrounds one attempt: each wraps a Send and gets clock and stores as arguments."""
