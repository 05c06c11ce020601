"""What makes a tiny model multilingual: one language, its fake copy, and elements that are switched off."""
