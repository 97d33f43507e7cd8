"""Tools for tests: real servers' databases, a plain MQTT client, a proxy that fails on cue."""
