"""What every transport shares: the pipeline, its rules, and what is counted. Imports no gRPC."""
