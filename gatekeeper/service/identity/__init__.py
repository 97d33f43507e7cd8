"""Who a gate is: its invitation, its request, its certificate, and how all that ends.

    authority_files   the site's certificate authority on disk        invitations   one-time codes
    desk              requests, certificates, renewals, beside the engine

The trust list says which message key is a gate's, and it takes two people to put one there. A certificate follows from it.
"""
