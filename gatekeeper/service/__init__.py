"""The shell around the story: what turns pure decisions into a running site, through ports, with no driver of its own."""
