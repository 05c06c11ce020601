"""From files in many formats to token shards: read, join, split, encode, sample, pack."""
