"""The tamper drill: what a superuser of the database can do to the log, done; then every judge is asked whether he sees it.

ground    a sound log, what is remembered of it outside the database, and an engine that goes on after an attack
hand      the attacker's: rows altered, numbered anew, trees rebuilt, checkpoints signed with a stolen key
attacks   what is done, clumsily and cleverly
judges    an export checked alone, with what is remembered, with a witness; the log in its database
table     the outcomes, as they stand in SECURITY.md

python -m tests.drill      do all of it, and write the table in SECURITY.md anew
"""
