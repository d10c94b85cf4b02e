"""The captioner: settings, vocabulary, encoding, model, exported endpoints, predict."""
