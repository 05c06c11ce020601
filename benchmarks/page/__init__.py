"""The attention page in a browser: its first paint, its size, its frames while a pointer moves, its pictures.

    xformer bench page
    python -m xformer.benchmarks.page.pictures runs/demo

Both drive the Chromium of this machine through Playwright (extra `dev`).
"""
