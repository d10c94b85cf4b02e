"""The language model: settings, vocabulary, encoding, model, exported endpoints, writing."""
