"""Tables as a reader sees them: printed, with captions, in HTML and LaTeX, and in sentences."""
