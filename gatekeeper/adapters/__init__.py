"""One folder for each thing outside: broker, database, vault, browser, clock. None imports another."""
