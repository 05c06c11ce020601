"""Manual pages in roff, as far as text needs it: escapes, requests, and the macros of man(7) and mdoc(7).

Nothing is laid out: pages become blocks (headings, paragraphs, tags of lists), and examples and tables keep
their places only.
"""
