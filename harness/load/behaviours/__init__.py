"""One behaviour per file; its docstring is its documentation page."""
