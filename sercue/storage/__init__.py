"""What lies on disk: files written whole or not at all, and tables that say what they are."""
