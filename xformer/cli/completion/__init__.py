"""`xformer completion`: scripts with which a shell completes commands, options, settings and runs."""
