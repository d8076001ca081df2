"""Finds the packages; everything else stands in pyproject.toml (a mapping of folders can't be found from there)."""

from setuptools import find_packages, setup

_MAPPED = ["callbacks*", "layers_ext*", "emitters*"]

setup(packages=find_packages(include=["keras_hls*"]) + [f"keras_hls.{p}" for p in find_packages(include=_MAPPED)])
