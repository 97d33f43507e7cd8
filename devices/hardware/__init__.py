"""The metal of an access point: the ports that the agent needs, real ones and simulated ones (README.md). No rule of the gate is here."""
