"""The service around the network: gateway, worker, store, clients."""
