"""Real servers for tests: each starts on a free port, waits until it answers, and cleans up."""
