"""Figures of the reports: one function per figure, from a table to a matplotlib ``Figure``.

Every function takes a table that another part of the package returns, draws it in the style of
the reports without touching matplotlib's global settings, and returns the figure, open and
restylable. Given ``ax``, it draws there, or divides its place into several panels; the figure is
then that of ``ax``, best made with ``layout="constrained"``.
"""
