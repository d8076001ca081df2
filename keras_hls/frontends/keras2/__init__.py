"""Models of Keras 2 and tf_keras, QKeras and HGQ: from their files, or live, through the same door."""
