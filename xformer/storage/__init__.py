"""Files that are whole or absent: atomic writes, checksums, memory maps, settings as TOML."""
