"""What the host does: the site, its gates and doors, operators and proposals; who is where, why, and what is the matter."""
