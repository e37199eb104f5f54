"""Where artifacts are: from a hash to URLs."""
