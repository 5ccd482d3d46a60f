"""What every function shares: configuration, one log line a request, problem+json, batches."""
