"""``python -m keras_hls``: the command ``keras-hls``."""

import sys

from keras_hls.cli import main

if __name__ == "__main__":
    sys.exit(main())
