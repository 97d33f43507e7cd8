"""MQTT 5: the port `Transport` on paho-mqtt and asyncio. Where messages go and what they mean is not known here."""

from gatekeeper.adapters.mqtt.session import MqttSession

__all__ = ["MqttSession"]
