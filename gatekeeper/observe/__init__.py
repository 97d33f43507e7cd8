"""What operators see of a running service: log lines, metrics, health. Never a credential, a PIN or a name."""
