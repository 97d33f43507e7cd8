"""What a tenant does at its desk: people, badges and visitors; and what is told and forgotten of a person."""
