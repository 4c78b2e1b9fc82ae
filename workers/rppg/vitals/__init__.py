"""A pulse becomes vitals, each a module with its own refusals."""
