"""What can be said of a study before an hour of compute, and what would end it hours later."""
