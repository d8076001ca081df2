"""From published synthesis results to the coefficients of the cost model. Not part of the package."""
