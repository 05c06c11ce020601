"""A model written once, over operations that each runtime has, and without any code of a runtime."""
