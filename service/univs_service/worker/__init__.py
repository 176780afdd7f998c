"""The worker process: claims sessions, runs the network over their frames, publishes what it says."""
