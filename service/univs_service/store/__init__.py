"""State of the service in Redis or Valkey: keys, scripts, and one store for each role."""
