"""Models to graphs: the walk over a model's calls, and a folder for each way in which models are kept."""
