"""Readers that exist today, each as a gate of its own at assurance 0.

A bridge is a gate whose reader and strike are topics. It has an identity and a signing key like every gate, so what it says
can never be taken for the word of a gate that checks badges itself. What such a reader says is believed no further than a bare
card number goes: whoever reaches the broker in its name can say the same.

    settings      which device a gate speaks for
    *_format      PURE  what a kind of device writes and understands, byte for byte
    tasmota, esp_rfid, uhppoted, onvif    each kind as the fittings of a gate's access points
    fitted        one access point whose metal is a device on the broker
    strict_json, repeats, overheard       PURE  what the formats share
    notices       what was noticed, counted and said once
"""
