"""The attention page: one HTML file that shows what a model's heads do with a text, and makes no request."""
