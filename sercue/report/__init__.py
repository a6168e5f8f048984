"""From a finished study to what is read of it: pages, methods, comparisons."""
