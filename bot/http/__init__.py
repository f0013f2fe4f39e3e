"""The one HTTP server: who may ask, limits, health, metrics; routers come from those who have something to serve."""
