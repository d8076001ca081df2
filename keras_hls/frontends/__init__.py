"""Models to graphs: the walk over a model, and one adapter a library that says how its quantizers are read."""
