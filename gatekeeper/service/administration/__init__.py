"""Making and changing a site: the ceremony, the folder that keeps its keys, and what its tenants issue.

    plan         a site file, read to the end before the first key is made
    population   the people of an example site, from a seed
    ceremony     a site out of a plan
    folder       where keys and documents stand on disk, and who may read them
    issuing      badges and registrations, signed by a tenant
    trust_list   the next version of a site's trust list

No database: what comes out are documents that prove themselves, for others to store and to believe.
"""
