"""The translator: settings, vocabularies, encoding, model, exported endpoints, predict."""
