"""What several tests stand on: small sites and their files, the command line, databases, an MQTT client, a proxy that fails on cue."""
