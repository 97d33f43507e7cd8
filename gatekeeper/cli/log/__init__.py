"""What auditors do: the log proved, exported, fed to other systems, stamped and mended; and what is kept of it how long."""
