"""The steps of LSTM and GRU layers, forward and back, compiled by Numba; no TensorFlow, no Keras.

docs/fast-recurrent.md explains them. `layer` is what others call.
"""
