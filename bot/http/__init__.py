"""The one HTTP server: who may ask, limits, health, metrics; the routers that it serves are passed in."""
