"""Running a network: the integer emulator, and C-simulation of a written project."""
