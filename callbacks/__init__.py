"""Keras callbacks, one a file."""

from keras_hls.callbacks.hls_export import HLSExport

__all__ = ["HLSExport"]
