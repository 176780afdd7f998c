"""The HTTP and websocket face of the service. Holds no session: any gateway can serve any client."""
