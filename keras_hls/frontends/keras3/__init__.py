"""Live models of Keras 3 and HGQ2."""
