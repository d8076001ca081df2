"""Calls of Keras 3 on samples, which are made as those of any Keras."""

from keras_hls.frontends.asking import called

__all__ = ["called"]
