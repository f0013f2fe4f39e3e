"""The one HTTP server: access, limits, health, metrics; the routers that it serves are passed in."""
