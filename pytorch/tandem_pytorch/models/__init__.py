"""The built-in models, one a module with a ``build`` function, and the lookup of any model by its source."""
