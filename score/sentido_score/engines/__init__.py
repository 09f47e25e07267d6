"""What turns windows of texts into scores: this process, servers, or a Ray cluster."""
