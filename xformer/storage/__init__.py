"""Files: atomic writes, checksums, memory maps, and settings as TOML."""
