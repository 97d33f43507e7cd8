"""The shell of an examination: its folder, its session at the broker, and whoever stands at the gate.

    folder   the throw-away site, on disk
    session  an MQTT session in the service's place
    asking   a person at a terminal, or a program, who does things at the gate
    run      the machine of `devices.conformance`, fed until it is finished
    command  gatekeeper-device conformance

It judges nothing.
"""
