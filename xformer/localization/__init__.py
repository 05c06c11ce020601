"""Catalogues of messages (`.po`) that a translator fills: what must be kept in them, and plural forms."""
