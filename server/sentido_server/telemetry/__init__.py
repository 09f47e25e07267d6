"""What others can see of the server: metrics and traces."""
