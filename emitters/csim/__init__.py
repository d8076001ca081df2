"""The headers that C-simulation compiles a project against."""
