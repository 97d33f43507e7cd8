"""The metal of an access point: the ports that the agent needs, and simulated ones. No rule of the gate is here."""
