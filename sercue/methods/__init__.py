"""The methods of a finished study, in words fit for a paper, from its artifacts alone."""

from sercue.methods.text import methods_text, write_methods

__all__ = ["methods_text", "write_methods"]
