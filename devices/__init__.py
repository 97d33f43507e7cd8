"""What runs at the gate: it asks the service, believes only what is signed for it, and moves the strike.

    core/        PURE  one gate's rules: events in, effects out; no clock, no randomness, no I/O
    link         the gate's MQTT session
    agent        the shell: link, timers, entropy, reader, strike, contact and display around the core
    settings     the gate's folder, read once at the start
    checkpoint_file  what it remembers of the site's log, on disk
    journal_file, journal_writer  what happened at it and is not told yet, on disk
    hardware/    the ports to metal, and simulated ones
    bridges/     readers that exist today, each as a gate of its own at assurance 0
    simulator/   people who walk
    conformance/ PURE  whether a gate of another maker keeps the contract
    examination/ the shell around that: a throw-away site, a session in the service's place, a person or a program at the gate
    app          the one place where these are put together
    cli          gatekeeper-device

Of `gatekeeper` it imports the pure packages only (cose, transparency, model, core), so that a gate does not install the server.
"""
