"""Charts and pages, shared by runs, benches and evaluations. Imports nothing else of the package."""
